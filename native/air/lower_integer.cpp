// SPDX-License-Identifier: MIT
// Integer air.* functions -> LLVM intrinsics and plain arithmetic.
#include <llvm/IR/Intrinsics.h>

#include "air/lower_calls.h"

namespace mfa::air {
namespace {

using Builder = llvm::IRBuilder<>;
using llvm::Value;
namespace Intrinsic = llvm::Intrinsic;

struct Integer {
  const AirCall& call;
  Builder& builder;
  bool is_signed;
  llvm::Type* type = call.type();
  unsigned width = type->getScalarSizeInBits();

  Value* constant(uint64_t value) const { return llvm::ConstantInt::get(type, value); }
  Value* min(Value* a, Value* b) const {
    return builder.CreateBinaryIntrinsic(is_signed ? Intrinsic::smin : Intrinsic::umin, a, b);
  }
  Value* max(Value* a, Value* b) const {
    return builder.CreateBinaryIntrinsic(is_signed ? Intrinsic::smax : Intrinsic::umax, a, b);
  }
  Value* shift_right(Value* value, Value* count) const {
    return is_signed ? builder.CreateAShr(value, count) : builder.CreateLShr(value, count);
  }
  llvm::Type* wide_type() const { return type->getWithNewBitWidth(2 * width); }
  Value* widen(Value* value) const {
    return is_signed ? builder.CreateSExt(value, wide_type())
                     : builder.CreateZExt(value, wide_type());
  }
  Value* high_product(Value* a, Value* b) const {
    Value* product = builder.CreateMul(widen(a), widen(b));
    return builder.CreateTrunc(
        builder.CreateLShr(product, llvm::ConstantInt::get(wide_type(), width)), type);
  }
  Value* low24(Value* value) const {
    Value* eight = constant(8);
    return shift_right(builder.CreateShl(value, eight), eight);
  }
};

Value* lower_min_max(const Integer& in) {
  const AirCall& call = in.call;
  const llvm::StringRef op = call.op;
  if (op == "min") return in.min(call.arg(0), call.arg(1));
  if (op == "max") return in.max(call.arg(0), call.arg(1));
  if (op == "min3") return in.min(in.min(call.arg(0), call.arg(1)), call.arg(2));
  if (op == "max3") return in.max(in.max(call.arg(0), call.arg(1)), call.arg(2));
  if (op == "clamp") return in.min(in.max(call.arg(0), call.arg(1)), call.arg(2));
  if (op == "median3")
    return in.max(in.min(call.arg(0), call.arg(1)),
                  in.min(in.max(call.arg(0), call.arg(1)), call.arg(2)));
  return nullptr;
}

Value* lower_arithmetic(const Integer& in) {
  const AirCall& call = in.call;
  Builder& builder = in.builder;
  const llvm::StringRef op = call.op;
  Value* a = call.arg(0);
  Value* b = call.call.arg_size() > 1 ? call.arg(1) : nullptr;
  Value* one = in.constant(1);
  if (op == "abs") return builder.CreateBinaryIntrinsic(Intrinsic::abs, a, builder.getFalse());
  if (op == "abs_diff") {
    Value* a_less = in.is_signed ? builder.CreateICmpSLT(a, b) : builder.CreateICmpULT(a, b);
    return builder.CreateSelect(a_less, builder.CreateSub(b, a), builder.CreateSub(a, b));
  }
  if (op == "add_sat")
    return builder.CreateBinaryIntrinsic(in.is_signed ? Intrinsic::sadd_sat : Intrinsic::uadd_sat,
                                         a, b);
  if (op == "sub_sat")
    return builder.CreateBinaryIntrinsic(in.is_signed ? Intrinsic::ssub_sat : Intrinsic::usub_sat,
                                         a, b);
  if (op == "hadd")
    return builder.CreateAdd(builder.CreateAnd(a, b), in.shift_right(builder.CreateXor(a, b), one));
  if (op == "rhadd")
    return builder.CreateSub(builder.CreateOr(a, b), in.shift_right(builder.CreateXor(a, b), one));
  if (op == "mul_hi") return in.high_product(a, b);
  if (op == "mad_hi") return builder.CreateAdd(in.high_product(a, b), call.arg(2));
  if (op == "mul24") return builder.CreateMul(in.low24(a), in.low24(b));
  if (op == "mad24")
    return builder.CreateAdd(builder.CreateMul(in.low24(a), in.low24(b)), call.arg(2));
  if (op == "mad_sat") {
    // The sum fits twice the width, so clamping it there is exact.
    Value* sum =
        builder.CreateAdd(builder.CreateMul(in.widen(a), in.widen(b)), in.widen(call.arg(2)));
    const auto limit = [&](llvm::APInt value) {
      const llvm::APInt wide = in.is_signed ? value.sext(2 * in.width) : value.zext(2 * in.width);
      return llvm::ConstantInt::get(in.wide_type(), wide);
    };
    if (in.is_signed) {
      sum = builder.CreateBinaryIntrinsic(Intrinsic::smin, sum,
                                          limit(llvm::APInt::getSignedMaxValue(in.width)));
      sum = builder.CreateBinaryIntrinsic(Intrinsic::smax, sum,
                                          limit(llvm::APInt::getSignedMinValue(in.width)));
    } else {
      sum = builder.CreateBinaryIntrinsic(Intrinsic::umin, sum,
                                          limit(llvm::APInt::getMaxValue(in.width)));
    }
    return builder.CreateTrunc(sum, in.type);
  }
  return nullptr;
}

/// `count` low bits set; count 0 and count == width included.
Value* low_mask(const Integer& in, Value* count) {
  Builder& builder = in.builder;
  Value* shift =
      builder.CreateAnd(builder.CreateSub(in.constant(in.width), count), in.constant(in.width - 1));
  Value* mask = builder.CreateLShr(llvm::Constant::getAllOnesValue(in.type), shift);
  return builder.CreateSelect(builder.CreateIsNull(count), in.constant(0), mask);
}

/// A bit position or count, brought to the width of the result (and splatted over its components).
Value* amount(const Integer& in, Value* value) {
  Builder& builder = in.builder;
  if (auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(in.type);
      vector && !value->getType()->isVectorTy())
    value = builder.CreateVectorSplat(vector->getNumElements(), value);
  return builder.CreateZExtOrTrunc(value, in.type);
}

Value* lower_bits(const Integer& in) {
  const AirCall& call = in.call;
  Builder& builder = in.builder;
  const llvm::StringRef op = call.op;
  if (op == "clz")
    return builder.CreateBinaryIntrinsic(Intrinsic::ctlz, call.arg(0), builder.getFalse());
  if (op == "ctz")
    return builder.CreateBinaryIntrinsic(Intrinsic::cttz, call.arg(0), builder.getFalse());
  if (op == "popcount") return builder.CreateUnaryIntrinsic(Intrinsic::ctpop, call.arg(0));
  if (op == "reverse_bits") return builder.CreateUnaryIntrinsic(Intrinsic::bitreverse, call.arg(0));
  if (op == "rotate")
    return builder.CreateIntrinsic(Intrinsic::fshl, {in.type},
                                   {call.arg(0), call.arg(0), call.arg(1)});
  if (op == "extract_bits") {
    Value* offset = builder.CreateAnd(amount(in, call.arg(1)), in.constant(in.width - 1));
    Value* count = amount(in, call.arg(2));
    if (!in.is_signed)
      return builder.CreateAnd(builder.CreateLShr(call.arg(0), offset), low_mask(in, count));
    // Push the field's top bit to the sign, then bring the field down.
    Value* last = in.constant(in.width - 1);
    Value* left = builder.CreateAnd(
        builder.CreateSub(in.constant(in.width), builder.CreateAdd(offset, count)), last);
    Value* right = builder.CreateAnd(builder.CreateSub(in.constant(in.width), count), last);
    Value* field = builder.CreateAShr(builder.CreateShl(call.arg(0), left), right);
    return builder.CreateSelect(builder.CreateIsNull(count), in.constant(0), field);
  }
  if (op == "insert_bits") {
    Value* offset = builder.CreateAnd(amount(in, call.arg(2)), in.constant(in.width - 1));
    Value* mask = builder.CreateShl(low_mask(in, amount(in, call.arg(3))), offset);
    return builder.CreateOr(builder.CreateAnd(call.arg(0), builder.CreateNot(mask)),
                            builder.CreateAnd(builder.CreateShl(call.arg(1), offset), mask));
  }
  return nullptr;
}

}  // namespace

Value* lower_integer(const AirCall& call, Builder& builder) {
  if (!call.type()->isIntOrIntVectorTy() || call.call.arg_size() == 0) return nullptr;
  const Integer in{call, builder, call.suffix.starts_with("s.")};
  if (Value* value = lower_min_max(in)) return value;
  if (Value* value = lower_arithmetic(in)) return value;
  return lower_bits(in);
}

}  // namespace mfa::air
