// SPDX-License-Identifier: MIT
// Vectors that are rounded to half and stored -> rounded in registers, then stored.
#include "simd/half_stores.h"

#include "llvm/ADT/SmallVector.h"
#include "llvm/Analysis/VectorUtils.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/MC/MCSubtargetInfo.h"

namespace mfa::simd {
namespace {

using namespace llvm;

bool is_stored(const Value& value) {
  return any_of(value.users(), [](const User* user) {
    auto* call = dyn_cast<IntrinsicInst>(user);
    return isa<StoreInst>(user) || (call && call->getIntrinsicID() == Intrinsic::masked_store);
  });
}

/// The same value, of which the code generator does not know where it comes from.
Value* opaque(IRBuilder<>& b, Value* halves) {
  auto* type = FixedVectorType::get(
      b.getInt16Ty(), cast<FixedVectorType>(halves->getType())->getElementCount().getFixedValue());
  auto* nothing = InlineAsm::get(FunctionType::get(type, {type}, false), "", "=v,0", false);
  return b.CreateBitCast(b.CreateCall(nothing, {b.CreateBitCast(halves, type)}), halves->getType());
}

/// `lanes` at a time, of one conversion each.
Value* round_in_registers(FPTruncInst& whole, unsigned lanes) {
  IRBuilder<> b(&whole);
  Value* source = whole.getOperand(0);
  const unsigned count = cast<FixedVectorType>(whole.getType())->getNumElements();
  SmallVector<Value*, 8> parts;
  for (unsigned from = 0; from < count; from += lanes) {
    SmallVector<int, 16> part;
    for (unsigned l = from; l < from + lanes; l++) part.push_back(int(l));
    Value* taken = count == lanes ? source : b.CreateShuffleVector(source, part);
    Type* halves = FixedVectorType::get(whole.getType()->getScalarType(), lanes);
    parts.push_back(opaque(b, b.CreateFPTrunc(taken, halves)));
  }
  return concatenateVectors(b, parts);
}

}  // namespace

void keep_half_stores_apart(Function& f, const TargetMachine& target) {
  if (!target.getTargetTriple().isX86()) return;
  const MCSubtargetInfo& cpu = *target.getMCSubtargetInfo();
  const unsigned lanes = cpu.checkFeatures("+avx512vl") ? 16 : cpu.checkFeatures("+f16c") ? 8 : 0;
  if (lanes == 0) return;
  SmallVector<FPTruncInst*, 32> found;
  for (Instruction& inst : instructions(f)) {
    auto* rounding = dyn_cast<FPTruncInst>(&inst);
    if (!rounding || !rounding->getSrcTy()->getScalarType()->isFloatTy()) continue;
    auto* type = dyn_cast<FixedVectorType>(rounding->getType());
    if (!type || !type->getElementType()->isHalfTy() || type->getNumElements() % 8) continue;
    if (is_stored(*rounding)) found.push_back(rounding);
  }
  for (FPTruncInst* rounding : found) {
    const unsigned count = cast<FixedVectorType>(rounding->getType())->getNumElements();
    rounding->replaceAllUsesWith(round_in_registers(*rounding, count % lanes ? 8 : lanes));
    rounding->eraseFromParent();
  }
}

}  // namespace mfa::simd
