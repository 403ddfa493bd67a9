// SPDX-License-Identifier: MIT
// air.convert.* -> LLVM conversions with Metal's rounding and saturation.
#include <llvm/IR/Intrinsics.h>

#include "air/lower_calls.h"

namespace mfa::air {
namespace {

using Builder = llvm::IRBuilder<>;
using llvm::Value;

/// An integer that rounds to bfloat as `magnitude` does, with few enough bits for float to hold it
/// exactly: bits below the rounding position are folded into one sticky bit.
Value* sticky(Builder& builder, Value* magnitude) {
  llvm::Type* type = magnitude->getType();
  const unsigned width = type->getScalarSizeInBits();
  Value* out = magnitude;
  // With the sticky bit at p a number below 2^(p+24) has at most 24 bits.
  for (const auto& [from, position] : {std::pair(24u, 15u), {39u, 30u}, {54u, 45u}}) {
    if (from >= width) break;
    const llvm::APInt low = llvm::APInt::getLowBitsSet(width, position);
    Value* lost =
        builder.CreateIsNotNull(builder.CreateAnd(magnitude, llvm::ConstantInt::get(type, low)));
    Value* bit = builder.CreateShl(builder.CreateZExt(lost, type), position);
    Value* kept =
        builder.CreateOr(builder.CreateAnd(magnitude, llvm::ConstantInt::get(type, ~low)), bit);
    Value* large = builder.CreateICmpUGE(
        magnitude, llvm::ConstantInt::get(type, llvm::APInt::getOneBitSet(width, from)));
    out = builder.CreateSelect(large, kept, out);
  }
  return out;
}

Value* to_float(Builder& builder, Value* value, llvm::Type* type, bool is_signed) {
  const unsigned width = value->getType()->getScalarSizeInBits();
  if (width == 1) is_signed = false;
  if (!type->getScalarType()->isBFloatTy() || width < 24) {
    // Through float: exact for every integer that half can hold.
    llvm::Type* wide = type->getWithNewType(builder.getFloatTy());
    Value* converted =
        is_signed ? builder.CreateSIToFP(value, wide) : builder.CreateUIToFP(value, wide);
    return builder.CreateFPCast(converted, type);
  }
  llvm::Type* wide = type->getWithNewType(builder.getFloatTy());
  if (!is_signed)
    return builder.CreateFPTrunc(builder.CreateUIToFP(sticky(builder, value), wide), type);
  Value* negative = builder.CreateICmpSLT(value, llvm::Constant::getNullValue(value->getType()));
  Value* magnitude = builder.CreateSelect(negative, builder.CreateNeg(value), value);
  Value* rounded = builder.CreateUIToFP(sticky(builder, magnitude), wide);
  return builder.CreateFPTrunc(builder.CreateSelect(negative, builder.CreateFNeg(rounded), rounded),
                               type);
}

Value* to_integer(Builder& builder, Value* value, llvm::Type* type, bool is_signed) {
  llvm::Type* wide = value->getType()->getWithNewType(builder.getFloatTy());
  value = builder.CreateFPCast(value, wide);
  if (type->getScalarSizeInBits() == 1)
    return builder.CreateFCmpUNE(value, llvm::ConstantFP::get(wide, 0));
  return builder.CreateIntrinsic(
      is_signed ? llvm::Intrinsic::fptosi_sat : llvm::Intrinsic::fptoui_sat, {type, wide}, {value});
}

}  // namespace

Value* lower_convert(const AirCall& call, Builder& builder) {
  if (call.op != "convert" || call.call.arg_size() != 1) return nullptr;
  llvm::SmallVector<llvm::StringRef, 5> parts;  // destination kind and type, source kind and type
  call.suffix.split(parts, '.');
  if (parts.size() != 4) return nullptr;  // an explicit rounding mode, which MSL never writes
  Value* value = call.arg(0);
  llvm::Type *from = value->getType(), *to = call.type();
  const auto shape = [](llvm::Type* type) {
    const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type);
    return vector ? vector->getNumElements() : 0;
  };
  if (from->isPtrOrPtrVectorTy() || !to->getScalarType()->isSingleValueType() ||
      to->isPtrOrPtrVectorTy() || shape(from) != shape(to))
    return nullptr;
  const bool from_float = from->isFPOrFPVectorTy(), to_float_type = to->isFPOrFPVectorTy();
  if (from_float && to_float_type) {
    if (from == to) return value;
    llvm::Type* wide = to->getWithNewType(builder.getFloatTy());  // half <-> bfloat
    return builder.CreateFPCast(builder.CreateFPCast(value, wide), to);
  }
  if (from_float) return to_integer(builder, value, to, parts[0] == "s");
  if (to_float_type) return to_float(builder, value, to, parts[2] == "s");
  if (to->getScalarSizeInBits() == 1) return builder.CreateIsNotNull(value);
  const bool extend_sign = parts[2] == "s" && from->getScalarSizeInBits() != 1;
  return extend_sign ? builder.CreateSExtOrTrunc(value, to) : builder.CreateZExtOrTrunc(value, to);
}

}  // namespace mfa::air
