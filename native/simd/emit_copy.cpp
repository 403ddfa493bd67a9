// SPDX-License-Identifier: MIT
// Asynchronous copies of a simdgroup -> copies that are complete when the call returns.
//
// Their operands are uniform: the simdgroup makes one copy together (AIR.md lists the signatures of
// air.simdgroup_async_copy_*). Cells of the destination outside the source tile become zero.
#include "simd/emit.h"

namespace mfa::simd {

using namespace llvm;

void Emitter::async_copy(CallInst& inst, const Intrinsic& op) {
  if (!inst.getType()->isVoidTy())
    set_scalar(&inst, Constant::getNullValue(inst.getType()));  // nobody looks into an event
  if (op.op == Op::async_wait) return;
  auto argument = [&](unsigned i) { return scalar(inst.getArgOperand(i)); };
  auto lane = [&](unsigned i, unsigned e) {
    return b_.CreateExtractElement(argument(i), uint64_t(e));
  };
  Value* size = argument(0);
  if (op.op == Op::async_copy_1d) {
    b_.CreateMemCpy(argument(2), MaybeAlign(), argument(3), MaybeAlign(),
                    b_.CreateMul(argument(4), size));
    return;
  }
  auto* clamp = dyn_cast<ConstantInt>(argument(11));
  auto* offset = dyn_cast<Constant>(argument(10));
  if (!clamp || !clamp->isZero() || !offset || !offset->isNullValue())
    return fail("an asynchronous copy that clamps to the edge or has an offset");
  Value *to = argument(2), *from = argument(6);
  Value* to_pitch = b_.CreateMul(argument(3), size);
  Value* from_pitch = b_.CreateMul(argument(7), size);
  Value* row_bytes = b_.CreateMul(lane(5, 0), size);
  Value* rows = lane(5, 1);
  Value* known =
      b_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, row_bytes, b_.CreateMul(lane(9, 0), size));
  Value* source_rows = lane(9, 1);

  BasicBlock* before = b_.GetInsertBlock();
  auto* row = BasicBlock::Create(b_.getContext(), "row", result_);
  auto* after = BasicBlock::Create(b_.getContext(), "", result_);
  b_.CreateCondBr(b_.CreateIsNull(rows), after, row);
  b_.SetInsertPoint(row);
  PHINode* y = open_phi(b_.getInt64Ty(), 2);
  Value* inside = b_.CreateICmpULT(y, source_rows);
  Value* bytes = b_.CreateSelect(inside, known, b_.getInt64(0));
  Value* d = b_.CreateGEP(b_.getInt8Ty(), to, b_.CreateMul(y, to_pitch));
  Value* s = b_.CreateGEP(b_.getInt8Ty(), from, b_.CreateMul(y, from_pitch));
  b_.CreateMemCpy(d, MaybeAlign(), s, MaybeAlign(), bytes);
  b_.CreateMemSet(b_.CreateGEP(b_.getInt8Ty(), d, bytes), b_.getInt8(0),
                  b_.CreateSub(row_bytes, bytes), MaybeAlign());
  Value* next = b_.CreateAdd(y, b_.getInt64(1));
  Value* more = b_.CreateICmpULT(next, rows);
  y->addIncoming(b_.getInt64(0), before);
  y->addIncoming(next, b_.GetInsertBlock());
  close(y);
  b_.CreateCondBr(more, row, after);
  b_.SetInsertPoint(after);
}

}  // namespace mfa::simd
