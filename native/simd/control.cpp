// SPDX-License-Identifier: MIT
// Control flow of the lane program -> ifs without else and loops with one divergent exit.
#include "simd/control.h"

#include "llvm/ADT/GenericUniformityImpl.h"
#include "llvm/Analysis/TargetTransformInfoImpl.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/InitializePasses.h"
#include "llvm/PassRegistry.h"
#include "llvm/Transforms/Scalar.h"
#include "llvm/Transforms/Utils.h"
#include "llvm/Transforms/Utils/FixIrreducible.h"
#include "llvm/Transforms/Utils/LCSSA.h"
#include "llvm/Transforms/Utils/LoopSimplify.h"
#include "llvm/Transforms/Utils/LowerSwitch.h"
#include "llvm/Transforms/Utils/UnifyFunctionExitNodes.h"
#include "llvm/Transforms/Utils/UnifyLoopExits.h"
#include "simd/intrinsic.h"
#include "simd/matrix_types.h"
#include "simd/passes.h"
#include "simd/program.h"

namespace mfa::simd {
namespace {

using namespace llvm;

/// Tells LLVM's uniformity analysis what differs between the lanes of a simdgroup.
class LaneModel : public TargetTransformInfoImplCRTPBase<LaneModel> {
  using Base = TargetTransformInfoImplCRTPBase<LaneModel>;
  friend Base;

 public:
  explicit LaneModel(const DataLayout& layout) : Base(layout) {}

  bool hasBranchDivergence(const Function* = nullptr) const { return true; }

  bool isSourceOfDivergence(const Value* value) const {
    if (isa<AllocaInst>(value) || is_lane(value)) return true;
    if (matrix_op(value) != MatrixOp::none) return true;
    auto intrinsic = air(value);
    if (!intrinsic || isAlwaysUniform(value)) return false;
    switch (intrinsic->op) {
      case Op::simdgroup_size:
      case Op::is_helper:
        return false;
      case Op::coherent_load:  // as an ordinary load
        return false;
      default:
        return !value->getType()->isVoidTy();
    }
  }

  bool isAlwaysUniform(const Value* value) const {
    auto intrinsic = air(value);
    if (!intrinsic) return false;
    if (intrinsic->op == Op::shuffle && intrinsic->width == MFA_SIMD_WIDTH)
      return isa<Constant>(cast<CallInst>(value)->getArgOperand(1));
    return has_uniform_result(*intrinsic);
  }

 private:
  static std::optional<Intrinsic> air(const Value* value) {
    auto* call = dyn_cast<CallInst>(value);
    Function* callee = call ? call->getCalledFunction() : nullptr;
    if (!callee || !is_air(*callee)) return {};
    auto parsed = parse_intrinsic(*callee);
    if (!parsed) return {};
    return *parsed;
  }
};

std::unique_ptr<Control> analyse(Function& f) {
  auto control = std::make_unique<Control>();
  control->dominators.recalculate(f);
  control->post_dominators.recalculate(f);
  control->loops.analyze(control->dominators);
  control->cycles.compute(f);
  control->model = std::make_unique<TargetTransformInfo>(LaneModel(f.getParent()->getDataLayout()));
  control->uniformity =
      std::make_unique<UniformityInfo>(control->dominators, control->cycles, control->model.get());
  control->uniformity->compute();
  return control;
}

/// StructurizeCFG that leaves uniform regions alone exists for the old pass manager only.
void structurize(Function& f) {
  static const bool once = [] {
    PassRegistry& registry = *PassRegistry::getPassRegistry();
    initializeScalarOpts(registry);
    initializeTransformUtils(registry);
    initializeAnalysis(registry);
    return true;
  }();
  (void)once;
  legacy::FunctionPassManager passes(f.getParent());
  const DataLayout& layout = f.getParent()->getDataLayout();
  passes.add(createTargetTransformInfoWrapperPass(TargetIRAnalysis(
      [&layout](const Function&) { return TargetTransformInfo(LaneModel(layout)); })));
  passes.add(createStructurizeCFGPass(/*SkipUniformRegions=*/true));
  passes.doInitialization();
  passes.run(f);
  passes.doFinalization();
}

/// Every divergent branch must be the exit of a loop or jump over code straight to its join.
Result<void> check(Function& f, Control& control) {
  for (BasicBlock& block : f) {
    if (!isa<BranchInst, ReturnInst>(block.getTerminator()))
      return Error{std::string("unsupported terminator '") +
                   block.getTerminator()->getOpcodeName() + "'"};
    if (!control.divergent_branch(block)) continue;
    auto* branch = cast<BranchInst>(block.getTerminator());
    Loop* loop = control.loops.getLoopFor(&block);
    if (loop && loop->getLoopLatch() == &block && loop->isLoopExiting(&block) &&
        loop->getExitBlock())
      continue;
    BasicBlock* join = control.post_dominators.getNode(&block)->getIDom()->getBlock();
    bool jumps = join && (branch->getSuccessor(0) == join || branch->getSuccessor(1) == join);
    if (!jumps || (loop && !loop->contains(join)))
      return Error{"control flow that could not be structured"};
  }
  return {};
}

}  // namespace

bool Control::divergent_branch(const BasicBlock& block) const {
  auto* branch = dyn_cast<BranchInst>(block.getTerminator());
  return branch && branch->isConditional() && divergent(branch->getCondition());
}

Result<std::unique_ptr<Control>> structure(Function& f) {
  {
    FunctionPassManager passes;
    passes.addPass(LowerSwitchPass());
    passes.addPass(UnifyFunctionExitNodesPass());  // an early return becomes a jump over the rest
    passes.addPass(LoopSimplifyPass());
    passes.addPass(FixIrreduciblePass());
    run_passes(f, std::move(passes));
  }
  auto control = analyse(f);
  bool branches = false;
  for (BasicBlock& block : f) branches |= control->divergent_branch(block);
  if (branches) {
    FunctionPassManager passes;
    passes.addPass(UnifyLoopExitsPass());  // structurizing wants one exit per loop
    run_passes(f, std::move(passes));
    structurize(f);
  }
  FunctionPassManager passes;
  passes.addPass(LoopSimplifyPass());
  passes.addPass(LCSSAPass());  // values leave loops through phis, where lanes that left are kept
  run_passes(f, std::move(passes));
  control = analyse(f);
  if (auto good = check(f, *control); !good) return good.take_error();
  return control;
}

}  // namespace mfa::simd
