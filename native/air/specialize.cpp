// SPDX-License-Identifier: MIT
// A function record and constant values -> a canonical LLVM module: the list of all steps.
#include "air/specialize.h"

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/Module.h>
#include <llvm/MC/MCSubtargetInfo.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/CommandLine.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/Transforms/IPO/AlwaysInliner.h>
#include <llvm/Transforms/IPO/GlobalDCE.h>
#include <llvm/Transforms/IPO/GlobalOpt.h>
#include <llvm/Transforms/InstCombine/InstCombine.h>
#include <llvm/Transforms/Scalar/ADCE.h>
#include <llvm/Transforms/Scalar/DeadStoreElimination.h>
#include <llvm/Transforms/Scalar/EarlyCSE.h>
#include <llvm/Transforms/Scalar/GVN.h>
#include <llvm/Transforms/Scalar/IndVarSimplify.h>
#include <llvm/Transforms/Scalar/LICM.h>
#include <llvm/Transforms/Scalar/LoopDeletion.h>
#include <llvm/Transforms/Scalar/LoopPassManager.h>
#include <llvm/Transforms/Scalar/LoopRotation.h>
#include <llvm/Transforms/Scalar/LoopUnrollPass.h>
#include <llvm/Transforms/Scalar/SCCP.h>
#include <llvm/Transforms/Scalar/SROA.h>
#include <llvm/Transforms/Scalar/SimplifyCFG.h>
#include <llvm/Transforms/Utils/LowerSwitch.h>

#include <functional>
#include <mutex>

#include "air/builtins.h"
#include "air/canonical.h"
#include "air/constants.h"
#include "air/function_tables.h"
#include "air/load.h"
#include "air/lower_calls.h"
#include "air/reflect.h"
#include "air/silence.h"

namespace mfa::air {
namespace {

// Apple's front end leaves register tiles as rolled loops marked for full unrolling. LLVM's own
// limit of 16 K instructions would keep the larger ones in memory.
constexpr unsigned kFullUnrollLimit = 1u << 16;

void set_options() {
  static std::once_flag once;
  std::call_once(once, [] {
    const auto& options = llvm::cl::getRegisteredOptions();
    const auto found = options.find("pragma-unroll-threshold");
    if (found != options.end())
      static_cast<llvm::cl::opt<unsigned>*>(found->second)->setValue(kFullUnrollLimit);
  });
}

struct RequestUnrolling : llvm::PassInfoMixin<RequestUnrolling> {
  llvm::PreservedAnalyses run(llvm::Function& function, llvm::FunctionAnalysisManager& analyses) {
    request_unrolling(function, analyses);
    return llvm::PreservedAnalyses::all();
  }
};

struct FoldPointerChoices : llvm::PassInfoMixin<FoldPointerChoices> {
  llvm::PreservedAnalyses run(llvm::Function& function, llvm::FunctionAnalysisManager&) {
    if (!fold_pointer_choices(function)) return llvm::PreservedAnalyses::all();
    llvm::PreservedAnalyses kept;
    kept.preserveSet<llvm::CFGAnalyses>();
    return kept;
  }
};

llvm::SimplifyCFGOptions control_flow() {
  // Lookup tables would be gathers. Common code is hoisted and sunk so that divergent arms are
  // short.
  return llvm::SimplifyCFGOptions()
      .convertSwitchRangeToICmp(true)
      .convertSwitchToLookupTable(false)
      .hoistCommonInsts(true)
      .sinkCommonInsts(true);
}

/// For straight-line or branching code that works on constants only.
llvm::FunctionPassManager folding() {
  llvm::FunctionPassManager passes;
  for (int i = 0; i < 2; ++i) {
    passes.addPass(llvm::EarlyCSEPass(/*UseMemorySSA=*/true));
    passes.addPass(llvm::InstCombinePass());
    passes.addPass(llvm::SimplifyCFGPass(control_flow()));
  }
  return passes;
}

llvm::FunctionToLoopPassAdaptor loops(bool unroll) {
  llvm::LoopPassManager passes;
  if (unroll) {
    passes.addPass(llvm::IndVarSimplifyPass());
    passes.addPass(llvm::LoopDeletionPass());
    passes.addPass(llvm::LoopFullUnrollPass(/*OptLevel=*/3));
    return llvm::createFunctionToLoopPassAdaptor(std::move(passes));
  }
  passes.addPass(llvm::LoopRotatePass());
  passes.addPass(llvm::LICMPass(llvm::LICMOptions()));
  return llvm::createFunctionToLoopPassAdaptor(std::move(passes), /*UseMemorySSA=*/true);
}

/// No jump threading, no unswitching: both undo the reconvergence of lanes after a branch.
llvm::FunctionPassManager simplification() {
  llvm::FunctionPassManager passes;
  // Constants are known and helpers inlined: drop dead branches before anything looks at loops.
  passes.addPass(llvm::SROAPass(llvm::SROAOptions::ModifyCFG));
  passes.addPass(llvm::EarlyCSEPass(/*UseMemorySSA=*/true));
  // The compiler of the metallib may have carried a constant it did not know around loops.
  passes.addPass(llvm::SCCPPass());
  passes.addPass(llvm::InstCombinePass());
  passes.addPass(llvm::SimplifyCFGPass(control_flow()));
  // Rotated loops have computable trip counts.
  passes.addPass(loops(/*unroll=*/false));
  passes.addPass(RequestUnrolling());
  passes.addPass(loops(/*unroll=*/true));
  // Unrolling made the indices of private arrays constant: they become values here.
  passes.addPass(llvm::SROAPass(llvm::SROAOptions::ModifyCFG));
  passes.addPass(llvm::EarlyCSEPass(/*UseMemorySSA=*/true));
  passes.addPass(llvm::InstCombinePass());
  passes.addPass(llvm::SimplifyCFGPass(control_flow()));
  // Inner trip counts may have depended on outer counters.
  passes.addPass(RequestUnrolling());
  passes.addPass(loops(/*unroll=*/true));
  // A variable whose address is chosen between stays in memory otherwise.
  passes.addPass(FoldPointerChoices());
  passes.addPass(llvm::SROAPass(llvm::SROAOptions::ModifyCFG));
  passes.addPass(llvm::GVNPass());
  passes.addPass(llvm::DSEPass());
  passes.addPass(llvm::InstCombinePass());
  passes.addPass(llvm::ADCEPass());
  passes.addPass(llvm::SimplifyCFGPass(control_flow()));
  passes.addPass(loops(/*unroll=*/false));
  return passes;
}

/// Owns the analyses of one module while its passes run.
class Passes {
 public:
  explicit Passes(llvm::TargetMachine& target) : builder_(&target) {
    builder_.registerModuleAnalyses(module_analyses_);
    builder_.registerCGSCCAnalyses(graph_analyses_);
    builder_.registerFunctionAnalyses(function_analyses_);
    builder_.registerLoopAnalyses(loop_analyses_);
    builder_.crossRegisterProxies(loop_analyses_, function_analyses_, graph_analyses_,
                                  module_analyses_);
  }
  template <class Pass>
  void run(llvm::Module& module, Pass&& pass) {
    llvm::ModulePassManager passes;
    passes.addPass(std::forward<Pass>(pass));
    passes.run(module, module_analyses_);
  }
  void run(llvm::Module& module, llvm::FunctionPassManager passes) {
    run(module, llvm::createModuleToFunctionPassAdaptor(std::move(passes)));
  }
  void run(llvm::Function& function, llvm::FunctionPassManager passes) {
    const llvm::PreservedAnalyses kept = passes.run(function, function_analyses_);
    function_analyses_.invalidate(function, kept);
  }
  void forget() { module_analyses_.clear(); }

 private:
  llvm::LoopAnalysisManager loop_analyses_;
  llvm::FunctionAnalysisManager function_analyses_;
  llvm::CGSCCAnalysisManager graph_analyses_;
  llvm::ModuleAnalysisManager module_analyses_;
  llvm::PassBuilder builder_;
};

/// Hints that later layers do not read.
void drop_hints(llvm::Function& function) {
  for (llvm::Instruction& instruction : llvm::make_early_inc_range(llvm::instructions(function))) {
    const auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(&instruction);
    if (!call) continue;
    const llvm::Intrinsic::ID id = call->getIntrinsicID();
    if (id == llvm::Intrinsic::assume || id == llvm::Intrinsic::experimental_noalias_scope_decl ||
        call->isLifetimeStartOrEnd())
      instruction.eraseFromParent();
  }
}

/// A freeze of a structure -> one of each member, so that the structure can fold away.
void split_freezes(llvm::Function& function) {
  for (llvm::Instruction& instruction : llvm::make_early_inc_range(llvm::instructions(function))) {
    auto* freeze = llvm::dyn_cast<llvm::FreezeInst>(&instruction);
    if (!freeze || !freeze->getType()->isAggregateType()) continue;
    llvm::IRBuilder<> builder(freeze);
    llvm::Value* whole = llvm::PoisonValue::get(freeze->getType());
    llvm::SmallVector<unsigned, 4> path;
    const std::function<void(llvm::Type*)> visit = [&](llvm::Type* type) {
      if (!type->isAggregateType()) {
        llvm::Value* member = builder.CreateExtractValue(freeze->getOperand(0), path);
        whole = builder.CreateInsertValue(whole, builder.CreateFreeze(member), path);
        return;
      }
      const bool structure = type->isStructTy();
      const uint64_t count = structure ? type->getStructNumElements() : type->getArrayNumElements();
      for (unsigned i = 0; i < count; ++i) {
        path.push_back(i);
        visit(structure ? type->getStructElementType(i) : type->getArrayElementType());
        path.pop_back();
      }
    };
    visit(freeze->getType());
    freeze->replaceAllUsesWith(whole);
    freeze->eraseFromParent();
  }
}

/// Whether !air.compile_options names it.
bool has_option(const llvm::Module& module, llvm::StringRef name) {
  const llvm::NamedMDNode* options = module.getNamedMetadata("air.compile_options");
  if (!options) return false;
  for (const llvm::MDNode* option : options->operands())
    for (const llvm::MDOperand& operand : option->operands())
      if (const auto* text = llvm::dyn_cast_or_null<llvm::MDString>(operand.get()))
        if (text->getString() == name) return true;
  return false;
}

}  // namespace

Result<Specialized> specialize(const FunctionRecord& record, const ConstantValues& values,
                               llvm::LLVMContext& context, llvm::TargetMachine& target,
                               const LinkedFunctions& linked) {
  set_options();
  Silence silence(context);
  auto loaded = load(record, context);
  if (!loaded) return loaded.take_error();
  llvm::Module& module = *loaded->module;
  llvm::Function& kernel = *loaded->kernel;
  auto metadata = read_metadata(*loaded, record);
  if (!metadata) return metadata.take_error();

  Specialized out;
  out.fast_math = has_option(module, "air.compile.fast_math_enable");
  out.flush_subnormals = has_option(module, "air.compile.denorms_disable");
  if (auto together = link_visible(module, linked); !together) return together.take_error();
  adopt_target(module, kernel, target);
  // Keeps comparisons of floats with zero from becoming comparisons of bits.
  if (out.flush_subnormals)
    for (llvm::Function& function : module)
      if (!function.isDeclaration()) function.addFnAttr(kDenormals, "preserve-sign,preserve-sign");
  if (!linked.empty()) lower_function_tables(module, linked);
  // Constructors compute with air.* functions too, so these go first.
  lower_calls(module);
  if (auto bound = bind_constants(module, *metadata, values, record); !bound)
    return bound.take_error();
  // Before optimisation: a division LLVM believes to be undefined must not delete code.
  for (llvm::Function& function : module) guard_divisions(function);

  Passes passes(target);
  passes.run(module, llvm::AlwaysInlinerPass(/*InsertLifetimeIntrinsics=*/false));
  // The constructor turns derived constants and predicates into constants. GlobalOpt evaluates
  // longer ones; it knows no intrinsics such as umin: those are folded before.
  for (llvm::Function* constructor : constructors(module)) passes.run(*constructor, folding());
  if (!evaluate_constructors(module)) passes.run(module, llvm::GlobalOptPass());
  if (auto settled = settle_predicates(module, *metadata, record); !settled)
    return settled.take_error();
  split_freezes(kernel);
  fold_constants(kernel);
  passes.forget();
  passes.run(module, llvm::GlobalDCEPass());
  passes.run(module, simplification());

  // Elementary functions come last: as calls without side effects they were cheap to move and
  // merge.
  passes.forget();
  if (link_builtins(module)) {
    passes.run(module, llvm::AlwaysInlinerPass(/*InsertLifetimeIntrinsics=*/false));
    llvm::FunctionPassManager cleanup;
    cleanup.addPass(llvm::EarlyCSEPass());
    cleanup.addPass(llvm::InstCombinePass());
    passes.run(module, std::move(cleanup));
  }
  drop_hints(kernel);
  expand_memory_calls(kernel);
  // After the last InstCombine, which would shrink float operations back to half.
  const bool native_bfloat = target.getMCSubtargetInfo()->checkFeatures("+avx512bf16");
  widen_half(kernel);
  if (!native_bfloat) soften_bfloat(kernel);
  llvm::FunctionPassManager last;
  last.addPass(llvm::LowerSwitchPass());
  last.addPass(llvm::EarlyCSEPass());
  last.addPass(llvm::ADCEPass());
  passes.forget();
  passes.run(module, std::move(last));
  passes.run(module, llvm::GlobalDCEPass());

  out.reflection = std::move(metadata->reflection);
  out.reflection.static_threadgroup_bytes = threadgroup_bytes(module);
  // What the constants made superfluous need not be bound.
  for (Argument& argument : out.reflection.arguments) {
    const llvm::Argument& parameter = *kernel.getArg(argument.parameter);
    if (parameter.use_empty()) argument.unused = true;
    // A table is memory with numbers, once no call goes through it any more.
    if (argument.table && !linked.empty() && parameter.getType()->isPointerTy()) {
      argument.kind = Argument::Kind::buffer;
      argument.address_space = parameter.getType()->getPointerAddressSpace();
    }
  }
  if (auto checked = check(kernel, out.reflection, record); !checked) return checked.take_error();
  out.kernel = &kernel;
  out.module = std::move(loaded->module);
  return out;
}

}  // namespace mfa::air
