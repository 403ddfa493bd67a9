// SPDX-License-Identifier: MIT
// Bytes that are shuffled, widened, shifted and masked -> one shuffle, shifted and masked.
#include "simd/bit_fields.h"

#include "llvm/IR/Constants.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/IntrinsicsX86.h"
#include "llvm/IR/PatternMatch.h"

namespace mfa::simd {
namespace {

using namespace llvm;
using namespace llvm::PatternMatch;

/// `zext(freeze(bytes)) >> shifts & masks`, as 32 bits at last; some of the steps may be missing.
struct BitField {
  Instruction* result;
  ShuffleVectorInst* bytes;
  Constant *shifts, *masks;  // null: no shift
  bool frozen;
};

uint64_t number(Constant* constants, unsigned lane) {
  auto* found =
      constants ? dyn_cast_or_null<ConstantInt>(constants->getAggregateElement(lane)) : nullptr;
  return found ? found->getZExtValue() : 0;
}

bool is_vector_of(Type* type, unsigned bits) {
  return isa<FixedVectorType>(type) && type->getScalarType()->isIntegerTy(bits);
}

/// The field that `mask`, an and, ends.
bool find(Instruction& mask, BitField& field) {
  field = {&mask, nullptr, nullptr, nullptr, false};
  if (is_vector_of(mask.getType(), 16)) {
    auto* widened = mask.hasOneUse() ? dyn_cast<ZExtInst>(mask.user_back()) : nullptr;
    if (!widened) return false;
    field.result = widened;
  }
  if (!is_vector_of(field.result->getType(), 32)) return false;
  Value *shifted, *bytes;
  if (!match(&mask, m_And(m_Value(shifted), m_Constant(field.masks)))) return false;
  if (!match(shifted, m_ZExt(m_Value(bytes))) &&
      !match(shifted, m_LShr(m_ZExt(m_Value(bytes)), m_Constant(field.shifts))))
    return false;
  if (auto* frozen = dyn_cast<FreezeInst>(bytes)) {
    field.frozen = true;
    bytes = frozen->getOperand(0);
  }
  field.bytes = dyn_cast<ShuffleVectorInst>(bytes);
  if (!field.bytes || !is_vector_of(bytes->getType(), 8)) return false;
  // Nothing may come from above the byte, where its copies are.
  const unsigned lanes = cast<FixedVectorType>(bytes->getType())->getNumElements();
  for (unsigned l = 0; l < lanes; l++)
    if (number(field.shifts, l) >= 8 || number(field.masks, l) << number(field.shifts, l) > 255)
      return false;
  return true;
}

/// Whether all that becomes of a value are indices of which only the lowest four bits are read.
bool are_indices(Value* value) {
  for (User* half : value->users()) {
    if (!isa<ShuffleVectorInst>(half)) return false;
    for (User* user : half->users()) {
      auto* call = dyn_cast<IntrinsicInst>(user);
      if (!call || call->getIntrinsicID() != Intrinsic::x86_avx512_permvar_si_512 ||
          call->getArgOperand(1) != half || call->getArgOperand(0) == half)
        return false;
    }
  }
  return true;
}

void replace(const BitField& field) {
  SmallVector<int, 128> places;
  for (int place : field.bytes->getShuffleMask()) places.append(4, place);
  IRBuilder<> b(field.result);
  Value *first = field.bytes->getOperand(0), *second = field.bytes->getOperand(1);
  Value* copies = b.CreateShuffleVector(first, second, places);
  if (field.frozen) copies = b.CreateFreeze(copies);
  Type* type = field.result->getType();
  Value* value = b.CreateBitCast(copies, type);
  SmallVector<Constant*, 32> shifts, masks;
  bool masked = !are_indices(field.result);
  for (unsigned l = 0; l < places.size() / 4; l++) {
    shifts.push_back(b.getInt32(uint32_t(number(field.shifts, l))));
    masks.push_back(b.getInt32(uint32_t(number(field.masks, l))));
    masked |= (number(field.masks, l) & 15) != 15;
  }
  if (field.shifts) value = b.CreateLShr(value, ConstantVector::get(shifts));
  if (masked) value = b.CreateAnd(value, ConstantVector::get(masks));
  field.result->replaceAllUsesWith(value);
}

}  // namespace

void shuffle_bit_fields(Function& f) {
  SmallVector<BitField, 16> fields;
  BitField field;
  for (Instruction& inst : instructions(f))
    if (inst.getOpcode() == Instruction::And && find(inst, field)) fields.push_back(field);
  for (const BitField& each : fields) replace(each);
}

}  // namespace mfa::simd
