// SPDX-License-Identifier: MIT
// A canonical kernel -> a scalar program for one lane whose inputs are the executor's structs.
#include "simd/program.h"

#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/Module.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/InstCombine/InstCombine.h"
#include "llvm/Transforms/Scalar/ADCE.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"
#include "llvm/Transforms/Scalar/SROA.h"
#include "llvm/Transforms/Scalar/Scalarizer.h"
#include "llvm/Transforms/Scalar/SimplifyCFG.h"
#include "llvm/Transforms/Utils/Cloning.h"
#include "simd/intrinsic.h"
#include "simd/matrix_types.h"
#include "simd/passes.h"
#include "simd/prologue.h"

namespace mfa::simd {
namespace {

using namespace llvm;

/// The lane's number: 0 to 31, different in every lane.
Value* emit_lane(IRBuilder<>& b, Module& m) {
  auto fn = m.getOrInsertFunction(lane_function, FunctionType::get(b.getInt32Ty(), false));
  auto* decl = cast<Function>(fn.getCallee());
  decl->setDoesNotAccessMemory();
  decl->setDoesNotThrow();
  decl->setWillReturn();
  decl->addRetAttr(Attribute::get(m.getContext(), Attribute::Range,
                                  ConstantRange(APInt(32, 0), APInt(32, MFA_SIMD_WIDTH))));
  return b.CreateCall(fn);
}

/// The value the kernel's parameter `argument` has in this program.
Result<Value*> argument_value(IRBuilder<>& b, GroupAccess& access, Threads& threads,
                              const air::Argument& argument, Type* type) {
  if (!argument.active) return {Constant::getNullValue(type)};
  switch (argument.kind) {
    case air::Argument::Kind::buffer:
      return {access.buffer(argument.slot, argument.address_space)};
    case air::Argument::Kind::threadgroup:
      return {access.threadgroup_argument(argument.slot)};
    case air::Argument::Kind::builtin: {
      auto builtin = parse_builtin(argument.builtin);
      if (!builtin) return builtin.take_error();
      return {assemble(
          b, type, [&](unsigned axis) { return component(b, access, threads, *builtin, axis); })};
    }
    default:
      return Error{"argument '" + argument.name + "' of type '" + argument.type_name +
                   "' is not supported"};
  }
}

/// One call per component for the AIR functions that take small vectors.
void split_vector_calls(Function& f) {
  for (Instruction& inst : make_early_inc_range(instructions(f))) {
    auto* call = dyn_cast<CallInst>(&inst);
    Function* callee = call ? call->getCalledFunction() : nullptr;
    auto* type = callee && is_air(*callee) ? dyn_cast<FixedVectorType>(call->getType()) : nullptr;
    if (!type || type->getNumElements() == 64) continue;  // matrices have their own form
    IRBuilder<> b(call);
    Value* result = PoisonValue::get(type);
    for (unsigned i = 0; i < type->getNumElements(); i++) {
      SmallVector<Value*, 4> args;
      SmallVector<Type*, 4> types;
      for (Value* a : call->args()) {
        args.push_back(a->getType()->isVectorTy() ? b.CreateExtractElement(a, uint64_t(i)) : a);
        types.push_back(args.back()->getType());
      }
      // "air.simd_shuffle.u.v2i32" -> "air.simd_shuffle.u.i32"
      std::string name = callee->getName().str();
      size_t v = name.rfind(".v"), digits = name.find_first_not_of("0123456789", v + 2);
      name = name.substr(0, v + 1) + name.substr(digits);
      auto fn = f.getParent()->getOrInsertFunction(
          name, FunctionType::get(type->getElementType(), types, false), callee->getAttributes());
      result = b.CreateInsertElement(result, b.CreateCall(fn, args), uint64_t(i));
    }
    call->replaceAllUsesWith(result);
    call->eraseFromParent();
  }
}

/// Bit casts between a scalar and a small vector -> shifts; the scalariser leaves them.
void expand_bitcasts(Function& f) {
  for (Instruction& inst : make_early_inc_range(instructions(f))) {
    auto* cast = dyn_cast<BitCastInst>(&inst);
    if (!cast) continue;
    auto* from = dyn_cast<FixedVectorType>(cast->getSrcTy());
    auto* to = dyn_cast<FixedVectorType>(cast->getDestTy());
    if (!from && !to) continue;
    IRBuilder<> b(cast);
    unsigned total = cast->getType()->getPrimitiveSizeInBits().getFixedValue();
    Type* whole = b.getIntNTy(total);
    auto bits = [&](Value* v) -> Value* {
      Type* t = b.getIntNTy(v->getType()->getPrimitiveSizeInBits().getFixedValue());
      return b.CreateBitCast(v, t);
    };
    Value* x;
    if (from) {
      unsigned width = from->getScalarSizeInBits();
      x = ConstantInt::get(whole, 0);
      for (unsigned i = 0; i < from->getNumElements(); i++) {
        Value* e =
            b.CreateZExt(bits(b.CreateExtractElement(cast->getOperand(0), uint64_t(i))), whole);
        x = b.CreateOr(x, b.CreateShl(e, uint64_t(i) * width));
      }
    } else {
      x = bits(cast->getOperand(0));
    }
    Value* result;
    if (to) {
      unsigned width = to->getScalarSizeInBits();
      result = PoisonValue::get(to);
      for (unsigned i = 0; i < to->getNumElements(); i++) {
        Value* e = b.CreateTrunc(b.CreateLShr(x, uint64_t(i) * width), b.getIntNTy(width));
        result =
            b.CreateInsertElement(result, b.CreateBitCast(e, to->getElementType()), uint64_t(i));
      }
    } else {
      result = b.CreateBitCast(x, cast->getType());
    }
    cast->replaceAllUsesWith(result);
    cast->eraseFromParent();
  }
}

/// Calls that stay must be understood; what is neutral here goes.
Result<void> check_calls(Function& f) {
  for (Instruction& inst : make_early_inc_range(instructions(f))) {
    auto* call = dyn_cast<CallBase>(&inst);
    if (!call) continue;
    Function* callee = call->getCalledFunction();
    if (!callee) return Error{"indirect call"};
    if (auto* intrinsic = dyn_cast<IntrinsicInst>(call)) {
      switch (intrinsic->getIntrinsicID()) {
        case llvm::Intrinsic::assume:
        case llvm::Intrinsic::lifetime_start:
        case llvm::Intrinsic::lifetime_end:
        case llvm::Intrinsic::experimental_noalias_scope_decl:
          intrinsic->eraseFromParent();
          break;
        default:
          break;
      }
      continue;
    }
    if (is_air(*callee)) {
      auto parsed = parse_intrinsic(*callee);
      if (!parsed) return parsed.take_error();
    } else if (!is_lane(call) && matrix_op(call) == MatrixOp::none) {
      return Error{"call of unknown function '" + callee->getName().str() + "'"};
    }
  }
  return {};
}

}  // namespace

bool is_lane(const Value* value) {
  auto* call = dyn_cast<CallInst>(value);
  return call && call->getCalledFunction() && call->getCalledFunction()->getName() == lane_function;
}

Result<Function*> make_program(air::Specialized& kernel, TargetMachine& target, exec::Shape shape) {
  Module& m = *kernel.module;
  LLVMContext& c = m.getContext();
  Function* k = kernel.kernel;
  auto* pointer = PointerType::get(c, 0);
  auto* type =
      FunctionType::get(Type::getVoidTy(c), {pointer, Type::getInt32Ty(c), pointer}, false);
  auto* f =
      Function::Create(type, GlobalValue::ExternalLinkage, "mfa_simdgroup_" + k->getName(), m);
  f->getArg(0)->setName("group");
  f->getArg(1)->setName("simdgroup");
  f->getArg(2)->setName("scratch");
  f->addParamAttr(
      1, Attribute::get(c, Attribute::Range,
                        ConstantRange(APInt(32, 0), APInt(32, MFA_MAX_THREADS / MFA_SIMD_WIDTH))));
  IRBuilder<> b(BasicBlock::Create(c, "entry", f));
  GroupAccess access(b, f->getArg(0));
  Threads threads;
  threads.simdgroup = f->getArg(1);
  threads.lane = emit_lane(b, m);
  Value* first = b.CreateMul(threads.simdgroup, b.getInt32(MFA_SIMD_WIDTH), "first", true, true);
  threads.linear = b.CreateAdd(first, threads.lane, "linear", true, true);
  if (shape != exec::Shape::general) {
    // A simdgroup never wraps in x: only x differs between its lanes.
    Value* x = access.group_size(0);
    Value* y = access.group_size(1);
    Value* row = b.CreateUDiv(first, x);
    threads.position[0] = b.CreateAdd(b.CreateURem(first, x), threads.lane, "x", true, true);
    threads.position[1] = b.CreateURem(row, y);
    threads.position[2] = b.CreateUDiv(row, y);
  }
  SmallVector<Value*, 16> args(k->arg_size(), nullptr);
  for (const air::Argument& argument : kernel.reflection.arguments) {
    if (argument.parameter >= args.size()) return Error{"argument index out of range"};
    auto value =
        argument_value(b, access, threads, argument, k->getArg(argument.parameter)->getType());
    if (!value) return value.take_error();
    args[argument.parameter] = *value;
  }
  for (unsigned i = 0; i < args.size(); i++)
    if (!args[i]) return Error{"parameter " + std::to_string(i) + " is not described"};

  CallInst* call = b.CreateCall(k, args);
  b.CreateRetVoid();
  k->removeFnAttr(Attribute::NoInline);
  k->removeFnAttr(Attribute::OptimizeNone);
  InlineFunctionInfo info;
  if (auto inlined = InlineFunction(*call, info); !inlined.isSuccess())
    return Error{std::string("kernel cannot be inlined: ") + inlined.getFailureReason()};
  BasicBlock& entry = f->getEntryBlock();
  b.SetInsertPoint(&entry, entry.getFirstNonPHIOrDbgOrAlloca());
  replace_static_memory(b, access, *f, static_threadgroup_memory(m));
  if (NamedMDNode* node = m.getNamedMetadata("air.kernel")) node->eraseFromParent();
  if (k->hasFnAttribute(air::kDenormals)) f->addFnAttr(k->getFnAttribute(air::kDenormals));
  if (k->use_empty()) k->eraseFromParent();
  kernel.kernel = f;
  for (auto* attribute : {"target-cpu", "target-features"})
    f->addFnAttr(attribute,
                 attribute[7] == 'c' ? target.getTargetCPU() : target.getTargetFeatureString());
  f->addFnAttr(Attribute::NoUnwind);

  split_vector_calls(*f);
  if (auto done = rewrite_matrices(*f); !done) return done.take_error();
  expand_bitcasts(*f);

  ScalarizerPassOptions scalar;
  scalar.ScalarizeVariableInsertExtract = true;
  scalar.ScalarizeLoadStore = true;
  scalar.ScalarizeMinBits = 0;
  FunctionPassManager passes;
  passes.addPass(SROAPass(SROAOptions::PreserveCFG));  // the kernel's own arguments and vectors
  passes.addPass(ScalarizerPass(scalar));              // after it only scalars and matrices
  passes.addPass(EarlyCSEPass(true));  // folds extract of insert, known bits of the lane
  passes.addPass(SimplifyCFGPass());   // merges what inlining split
  passes.addPass(ADCEPass());
  run_passes(*f, std::move(passes), &target);

  if (auto done = check_calls(*f); !done) return done.take_error();
  return {f};
}

}  // namespace mfa::simd
