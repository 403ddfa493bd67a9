// SPDX-License-Identifier: MIT
// Floating-point air.* functions -> LLVM intrinsics or calls of the scalar code in air/builtins.
#include <llvm/IR/Intrinsics.h>
#include <llvm/IR/Module.h>

#include "air/builtins.h"
#include "air/lower_calls.h"

namespace mfa::air {
namespace {

using Builder = llvm::IRBuilder<>;
using llvm::Value;

constexpr struct {
  const char* op;
  llvm::Intrinsic::ID id;
} kIntrinsics[] = {
    {"ceil", llvm::Intrinsic::ceil},         {"floor", llvm::Intrinsic::floor},
    {"trunc", llvm::Intrinsic::trunc},       {"rint", llvm::Intrinsic::roundeven},
    {"round", llvm::Intrinsic::round},       {"fabs", llvm::Intrinsic::fabs},
    {"sqrt", llvm::Intrinsic::sqrt},         {"fma", llvm::Intrinsic::fma},
    {"copysign", llvm::Intrinsic::copysign},
};

Value* real(const AirCall& call, double value) { return llvm::ConstantFP::get(call.type(), value); }

/// The fast forms may do anything with NaN: one compare and select, which is one x86 instruction.
Value* minimum(const AirCall& call, Builder& builder, Value* a, Value* b) {
  if (call.fast) return builder.CreateSelect(builder.CreateFCmpOLT(a, b), a, b);
  return builder.CreateMinNum(a, b);
}
Value* maximum(const AirCall& call, Builder& builder, Value* a, Value* b) {
  if (call.fast) return builder.CreateSelect(builder.CreateFCmpOGT(a, b), a, b);
  return builder.CreateMaxNum(a, b);
}

Value* lower_min_max(const AirCall& call, Builder& builder) {
  const auto min = [&](Value* a, Value* b) { return minimum(call, builder, a, b); };
  const auto max = [&](Value* a, Value* b) { return maximum(call, builder, a, b); };
  const llvm::StringRef op = call.op;
  if (op == "fmin") return min(call.arg(0), call.arg(1));
  if (op == "fmax") return max(call.arg(0), call.arg(1));
  if (op == "fmin3") return min(min(call.arg(0), call.arg(1)), call.arg(2));
  if (op == "fmax3") return max(max(call.arg(0), call.arg(1)), call.arg(2));
  if (op == "clamp") return min(max(call.arg(0), call.arg(1)), call.arg(2));
  if (op == "saturate") return min(max(call.arg(0), real(call, 0)), real(call, 1));
  if (op == "fmedian3")
    return max(min(call.arg(0), call.arg(1)), min(max(call.arg(0), call.arg(1)), call.arg(2)));
  return nullptr;
}

/// Products are summed in float; one rounding at the end for the 16-bit types.
Value* dot(const AirCall& call, Builder& builder) {
  const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(call.arg(0)->getType());
  if (!vector || !vector->isFPOrFPVectorTy() || call.call.arg_size() != 2 ||
      call.arg(1)->getType() != vector || !call.type()->isFloatingPointTy())
    return nullptr;
  llvm::Type* type = builder.getFloatTy();
  Value* sum = nullptr;
  for (unsigned i = 0; i < vector->getNumElements(); ++i) {
    Value* a = builder.CreateFPCast(builder.CreateExtractElement(call.arg(0), i), type);
    Value* b = builder.CreateFPCast(builder.CreateExtractElement(call.arg(1), i), type);
    sum = sum ? builder.CreateIntrinsic(llvm::Intrinsic::fma, {type}, {a, b, sum})
              : builder.CreateFMul(a, b);
  }
  return builder.CreateFPCast(sum, call.type());
}

Value* lower_compound(const AirCall& call, Builder& builder) {
  const llvm::StringRef op = call.op;
  if (op == "dot") return dot(call, builder);
  if (op == "fract") {
    // x - floor(x) can round up to 1; NaN stays NaN because the compare is false.
    const double below_one = call.type()->getScalarType()->isHalfTy()     ? 0x1.ffcp-1
                             : call.type()->getScalarType()->isBFloatTy() ? 0x1.fep-1
                                                                          : 0x1.fffffep-1;
    Value* part = builder.CreateFSub(
        call.arg(0), builder.CreateUnaryIntrinsic(llvm::Intrinsic::floor, call.arg(0)));
    Value* limit = real(call, below_one);
    return builder.CreateSelect(builder.CreateFCmpOGT(part, limit), limit, part);
  }
  if (op == "sign") {
    Value* zero = real(call, 0);
    Value* one =
        builder.CreateBinaryIntrinsic(llvm::Intrinsic::copysign, real(call, 1), call.arg(0));
    Value* magnitude =
        builder.CreateSelect(builder.CreateFCmpONE(call.arg(0), zero), one, call.arg(0));
    return builder.CreateSelect(builder.CreateFCmpUNO(call.arg(0), zero), zero, magnitude);
  }
  if (op == "rsqrt") {
    llvm::Type* wide = call.type()->getWithNewType(builder.getFloatTy());
    Value* root = builder.CreateUnaryIntrinsic(llvm::Intrinsic::sqrt,
                                               builder.CreateFPCast(call.arg(0), wide));
    Value* one = llvm::ConstantFP::get(wide, 1);
    Value* y = builder.CreateFDiv(one, root);
    // Two roundings leave 1.5 units; a Newton step with the exact residual leaves half of one.
    if (!call.fast && call.type()->getScalarType()->isFloatTy()) {
      Value* x = call.arg(0);
      const auto fma = [&](Value* a, Value* b, Value* c) {
        return builder.CreateIntrinsic(llvm::Intrinsic::fma, {wide}, {a, b, c});
      };
      Value* product = builder.CreateFMul(x, y);
      Value* low = fma(x, y, builder.CreateFNeg(product));
      Value* residual = fma(builder.CreateFNeg(product), y, one);
      residual = fma(builder.CreateFNeg(low), y, residual);
      Value* better = fma(builder.CreateFMul(y, llvm::ConstantFP::get(wide, 0.5)), residual, y);
      // Zero, infinity and NaN have no residual.
      y = builder.CreateSelect(builder.CreateFCmpORD(residual, residual), better, y);
    }
    return builder.CreateFPCast(y, call.type());
  }
  if (op == "modf") {
    Value* whole = builder.CreateUnaryIntrinsic(llvm::Intrinsic::trunc, call.arg(0));
    builder.CreateStore(whole, call.arg(1));
    Value* part = builder.CreateFSub(call.arg(0), whole);
    Value* infinite =
        builder.CreateFCmpOEQ(builder.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, call.arg(0)),
                              llvm::ConstantFP::getInfinity(call.type()));
    part = builder.CreateSelect(infinite, real(call, 0), part);
    return builder.CreateBinaryIntrinsic(llvm::Intrinsic::copysign, part, call.arg(0));
  }
  return nullptr;
}

/// all() and any() of a boolean vector.
Value* lower_boolean(const AirCall& call, Builder& builder) {
  if ((call.op != "all" && call.op != "any") || call.call.arg_size() != 1 ||
      !call.type()->isIntegerTy(1) || !call.arg(0)->getType()->isIntOrIntVectorTy(1))
    return nullptr;
  const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(call.arg(0)->getType());
  if (!vector) return call.arg(0);
  Value* out = builder.CreateExtractElement(call.arg(0), uint64_t(0));
  for (unsigned i = 1; i < vector->getNumElements(); ++i) {
    Value* next = builder.CreateExtractElement(call.arg(0), i);
    out = call.op == "all" ? builder.CreateAnd(out, next) : builder.CreateOr(out, next);
  }
  return out;
}

/// A function of air/builtins, which all take and return float (and int).
Value* call_builtin(const AirCall& call, Builder& builder, llvm::StringRef op,
                    llvm::ArrayRef<Value*> operands, llvm::Type* result) {
  const std::string name = builtin_name(op, call.fast);
  llvm::Module& module = *call.call.getModule();
  return per_component(builder, operands, result, [&](llvm::ArrayRef<Value*> scalars) -> Value* {
    llvm::SmallVector<Value*, 3> args;
    llvm::SmallVector<llvm::Type*, 3> types;
    for (Value* scalar : scalars) {
      if (scalar->getType()->isFloatingPointTy())
        scalar = builder.CreateFPCast(scalar, builder.getFloatTy());
      else
        scalar = builder.CreateSExtOrTrunc(scalar, builder.getInt32Ty());
      args.push_back(scalar);
      types.push_back(scalar->getType());
    }
    const bool integer = result->isIntOrIntVectorTy();
    llvm::Type* returned = integer ? builder.getInt32Ty() : builder.getFloatTy();
    llvm::FunctionCallee callee =
        module.getOrInsertFunction(name, llvm::FunctionType::get(returned, types, false));
    auto* function = llvm::cast<llvm::Function>(callee.getCallee());
    function->setDoesNotAccessMemory();
    function->setDoesNotThrow();
    function->addFnAttr(llvm::Attribute::WillReturn);
    Value* value = builder.CreateCall(callee, args);
    return integer ? builder.CreateSExtOrTrunc(value, result->getScalarType())
                   : builder.CreateFPCast(value, result->getScalarType());
  });
}

Value* lower_builtin(const AirCall& call, Builder& builder) {
  llvm::SmallVector<Value*, 3> operands(call.call.args());
  if (call.op == "sincos" || call.op == "frexp") {
    Value* pointer = operands.pop_back_val();
    const bool frexp = call.op == "frexp";
    llvm::Type* second = call.type();
    if (frexp) second = call.type()->getWithNewType(builder.getInt32Ty());
    builder.CreateStore(
        call_builtin(call, builder, frexp ? "frexp_exponent" : "cos", operands, second), pointer);
    return call_builtin(call, builder, frexp ? "frexp" : "sin", operands, call.type());
  }
  if (call.op == "nextafter" && call.type()->getScalarSizeInBits() == 16) {
    // One step of a 16-bit float, not of the float it is widened to: done on the bits.
    llvm::Type* bits = call.type()->getWithNewType(builder.getInt16Ty());
    Value* from = builder.CreateBitCast(call.arg(0), bits);
    Value* to = builder.CreateBitCast(call.arg(1), bits);
    const auto constant = [&](uint64_t value) { return llvm::ConstantInt::get(bits, value); };
    Value* grow = builder.CreateXor(builder.CreateFCmpOLT(call.arg(0), call.arg(1)),
                                    builder.CreateICmpSLT(from, constant(0)));
    Value* stepped =
        builder.CreateAdd(from, builder.CreateSelect(grow, constant(1), constant(0xffff)));
    Value* smallest = builder.CreateOr(builder.CreateAnd(to, constant(0x8000)), constant(1));
    Value* at_zero = builder.CreateICmpEQ(builder.CreateAnd(from, constant(0x7fff)), constant(0));
    stepped = builder.CreateSelect(at_zero, smallest, stepped);
    Value* out = builder.CreateSelect(builder.CreateFCmpOEQ(call.arg(0), call.arg(1)), to, stepped);
    Value* sum = builder.CreateFAdd(call.arg(0), call.arg(1));
    return builder.CreateSelect(builder.CreateFCmpUNO(call.arg(0), call.arg(1)), sum,
                                builder.CreateBitCast(out, call.type()));
  }
  return call_builtin(call, builder, call.op, operands, call.type());
}

}  // namespace

Value* lower_float(const AirCall& call, Builder& builder) {
  if (Value* value = lower_boolean(call, builder)) return value;
  if (call.call.arg_size() == 0) return nullptr;
  if (call.op == "is_uniform" && call.type()->isIntegerTy(1))
    return builder.getTrue();  // feeds llvm.assume only
  if (call.op == "ilogb" && call.type()->isIntOrIntVectorTy())
    return call_builtin(call, builder, call.op, call.arg(0), call.type());
  if (!call.type()->isFPOrFPVectorTy()) return nullptr;
  if (is_builtin(call.op)) return lower_builtin(call, builder);
  if (Value* value = lower_min_max(call, builder)) return value;
  if (Value* value = lower_compound(call, builder)) return value;
  for (const auto& entry : kIntrinsics) {
    if (call.op != entry.op) continue;
    const llvm::SmallVector<Value*, 3> operands(call.call.args());
    return builder.CreateIntrinsic(entry.id, {call.type()}, operands);
  }
  return nullptr;
}

}  // namespace mfa::air
