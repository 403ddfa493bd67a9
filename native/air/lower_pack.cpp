// SPDX-License-Identifier: MIT
// air.pack.* and air.unpack.* of normalised integers -> shifts, multiplies and conversions.
#include <llvm/IR/Intrinsics.h>

#include "air/lower_calls.h"

namespace mfa::air {
namespace {

using Builder = llvm::IRBuilder<>;
using llvm::Value;

struct Format {
  bool is_signed = false;
  unsigned bits = 0, count = 0;
  double scale() const { return double((1u << (is_signed ? bits - 1 : bits)) - 1); }
};

/// "unorm4x8" and its like; false for the special formats.
bool parse(llvm::StringRef name, Format& format) {
  format.is_signed = name.consume_front("snorm");
  if (!format.is_signed && !name.consume_front("unorm")) return false;
  return name == "4x8"    ? (format.count = 4, format.bits = 8, true)
         : name == "2x16" ? (format.count = 2, format.bits = 16, true)
                          : false;
}

Value* pack(const Format& format, const AirCall& call, Builder& builder) {
  llvm::Type *real = builder.getFloatTy(), *integer = builder.getInt32Ty();
  Value* out = builder.getInt32(0);
  for (unsigned i = 0; i < format.count; ++i) {
    Value* x = builder.CreateFPCast(builder.CreateExtractElement(call.arg(0), i), real);
    x = builder.CreateMaxNum(x, llvm::ConstantFP::get(real, format.is_signed ? -1 : 0));
    x = builder.CreateMinNum(x, llvm::ConstantFP::get(real, 1));
    x = builder.CreateFMul(x, llvm::ConstantFP::get(real, format.scale()));
    x = builder.CreateUnaryIntrinsic(llvm::Intrinsic::roundeven, x);
    x = builder.CreateIntrinsic(llvm::Intrinsic::fptosi_sat, {integer, real}, {x});
    x = builder.CreateAnd(x, (1u << format.bits) - 1);
    out = builder.CreateOr(out, builder.CreateShl(x, i * format.bits));
  }
  return builder.CreateZExtOrTrunc(out, call.type());
}

Value* unpack(const Format& format, const AirCall& call, Builder& builder) {
  llvm::Type *real = builder.getFloatTy(), *integer = builder.getInt32Ty();
  Value* packed = builder.CreateZExtOrTrunc(call.arg(0), integer);
  Value* out = llvm::PoisonValue::get(call.type());
  for (unsigned i = 0; i < format.count; ++i) {
    Value* x = builder.CreateShl(packed, 32 - (i + 1) * format.bits);
    const unsigned down = 32 - format.bits;
    x = format.is_signed ? builder.CreateSIToFP(builder.CreateAShr(x, down), real)
                         : builder.CreateUIToFP(builder.CreateLShr(x, down), real);
    x = builder.CreateFDiv(x, llvm::ConstantFP::get(real, format.scale()));
    if (format.is_signed) x = builder.CreateMaxNum(x, llvm::ConstantFP::get(real, -1));
    out =
        builder.CreateInsertElement(out, builder.CreateFPCast(x, call.type()->getScalarType()), i);
  }
  return out;
}

bool is_vector(llvm::Type* type, unsigned count) {
  const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type);
  return vector && vector->getNumElements() == count && vector->isFPOrFPVectorTy();
}

}  // namespace

Value* lower_pack(const AirCall& call, Builder& builder) {
  Format format;
  const auto [name, type] = call.suffix.split('.');
  if (call.call.arg_size() != 1 || !parse(name, format)) return nullptr;
  if (call.op == "pack" && is_vector(call.arg(0)->getType(), format.count) &&
      call.type()->isIntegerTy())
    return pack(format, call, builder);
  if (call.op == "unpack" && is_vector(call.type(), format.count) &&
      call.arg(0)->getType()->isIntegerTy())
    return unpack(format, call, builder);
  return nullptr;
}

}  // namespace mfa::air
