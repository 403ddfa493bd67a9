// SPDX-License-Identifier: MIT
// Calls of air.atomic.* -> LLVM's atomic instructions.
#include "jit/reference_atomics.h"

#include "llvm/IR/DataLayout.h"
#include "llvm/IR/Function.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Module.h"

namespace mfa::jit {
namespace {

using llvm::AtomicOrdering;
using llvm::AtomicRMWInst;
using llvm::Value;
using simd::Op;

constexpr AtomicOrdering relaxed = AtomicOrdering::Monotonic;

AtomicRMWInst::BinOp operation_of(const simd::Intrinsic& atomic) {
  bool is_float = atomic.value->isFloatingPointTy();
  switch (atomic.op) {
    case Op::atomic_add:
      return is_float ? AtomicRMWInst::FAdd : AtomicRMWInst::Add;
    case Op::atomic_sub:
      return is_float ? AtomicRMWInst::FSub : AtomicRMWInst::Sub;
    case Op::atomic_min:
      return is_float ? AtomicRMWInst::FMin
                      : (atomic.is_signed ? AtomicRMWInst::Min : AtomicRMWInst::UMin);
    case Op::atomic_max:
      return is_float ? AtomicRMWInst::FMax
                      : (atomic.is_signed ? AtomicRMWInst::Max : AtomicRMWInst::UMax);
    case Op::atomic_and:
      return AtomicRMWInst::And;
    case Op::atomic_or:
      return AtomicRMWInst::Or;
    case Op::atomic_xor:
      return AtomicRMWInst::Xor;
    default:
      return AtomicRMWInst::Xchg;
  }
}

/// The value found; also stored where the expected one came from.
Value* compare_exchange(llvm::IRBuilderBase& b, llvm::CallInst& call, llvm::Type* type,
                        llvm::Align align) {
  llvm::Type* bits = b.getIntNTy(unsigned(type->getPrimitiveSizeInBits()));
  Value* expected = b.CreateLoad(type, call.getArgOperand(1));
  Value* pair =
      b.CreateAtomicCmpXchg(call.getArgOperand(0), b.CreateBitCast(expected, bits),
                            b.CreateBitCast(call.getArgOperand(2), bits), align, relaxed, relaxed);
  Value* found = b.CreateBitCast(b.CreateExtractValue(pair, 0), type);
  b.CreateStore(found, call.getArgOperand(1));
  return found;
}

}  // namespace

void lower_atomic(llvm::CallInst& call, const simd::Intrinsic& atomic) {
  llvm::IRBuilder<> b(&call);
  Value* pointer = call.getArgOperand(0);
  llvm::Align align(call.getModule()->getDataLayout().getTypeStoreSize(atomic.value));
  Value* result = nullptr;
  if (atomic.op == Op::atomic_load) {
    llvm::LoadInst* load = b.CreateAlignedLoad(atomic.value, pointer, align);
    load->setAtomic(relaxed);
    result = load;
  } else if (atomic.op == Op::atomic_store) {
    b.CreateAlignedStore(call.getArgOperand(1), pointer, align)->setAtomic(relaxed);
  } else if (atomic.op == Op::atomic_compare_exchange) {
    result = compare_exchange(b, call, atomic.value, align);
  } else {
    result =
        b.CreateAtomicRMW(operation_of(atomic), pointer, call.getArgOperand(1), align, relaxed);
  }
  if (result) call.replaceAllUsesWith(result);
  call.eraseFromParent();
}

}  // namespace mfa::jit
