// SPDX-License-Identifier: MIT
// half and bfloat arithmetic -> float arithmetic with one rounding per operation.
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/IntrinsicInst.h>

#include "air/canonical.h"

namespace mfa::air {
namespace {

using Builder = llvm::IRBuilder<>;
using llvm::Instruction;
using llvm::Value;

bool narrow(const llvm::Type* type) {
  const llvm::Type* scalar = type->getScalarType();
  return scalar->isHalfTy() || scalar->isBFloatTy();
}

class Widener {
 public:
  /// The instruction's value computed in float, or null if it needs no change.
  Value* replacement(Instruction& instruction);

 private:
  llvm::Type* float_like(llvm::Type* type) {
    return type->getWithNewType(llvm::Type::getFloatTy(type->getContext()));
  }
  llvm::Type* bits_like(llvm::Type* type, unsigned width) {
    return type->getWithNewType(llvm::Type::getIntNTy(type->getContext(), width));
  }
  Value* widen(Builder& builder, Value* value);
  Value* round(Builder& builder, Value* value, llvm::Type* type);
  Value* to_odd(Builder& builder, Value* value);
  Value* arithmetic(Builder& builder, Instruction& instruction);
  Value* intrinsic(Builder& builder, llvm::IntrinsicInst& call);
};

Value* Widener::widen(Builder& builder, Value* value) {
  llvm::Type* type = value->getType();
  if (!narrow(type)) return value;
  if (type->getScalarType()->isHalfTy()) return builder.CreateFPExt(value, float_like(type));
  Value* bits = builder.CreateBitCast(value, bits_like(type, 16));
  bits = builder.CreateShl(builder.CreateZExt(bits, bits_like(type, 32)), 16);
  return builder.CreateBitCast(bits, float_like(type));
}

Value* Widener::round(Builder& builder, Value* value, llvm::Type* type) {
  if (!type->getScalarType()->isBFloatTy()) return builder.CreateFPTrunc(value, type);
  // The instruction of AVX512-BF16 flushes subnormal numbers; this does not.
  // To nearest, ties to even: add half of the last place, less one unless the last bit is odd.
  llvm::Type* word = bits_like(type, 32);
  Value* bits = builder.CreateBitCast(value, word);
  Value* high = builder.CreateLShr(bits, 16);
  Value* odd = builder.CreateAnd(high, llvm::ConstantInt::get(word, 1));
  Value* sum =
      builder.CreateAdd(builder.CreateAdd(bits, llvm::ConstantInt::get(word, 0x7fff)), odd);
  Value* quiet = builder.CreateOr(high, llvm::ConstantInt::get(word, 0x40));
  Value* nan = builder.CreateFCmpUNO(value, value);
  Value* out = builder.CreateSelect(nan, quiet, builder.CreateLShr(sum, 16));
  return builder.CreateBitCast(builder.CreateTrunc(out, bits_like(type, 16)), type);
}

/// double -> float with the last bit set if anything was lost, so that a second rounding is right.
Value* Widener::to_odd(Builder& builder, Value* value) {
  llvm::Type* type = float_like(value->getType());
  llvm::Type* word = bits_like(type, 32);
  Value* nearest = builder.CreateFPTrunc(value, type);
  Value* back = builder.CreateFPExt(nearest, value->getType());
  Value* bits = builder.CreateBitCast(nearest, word);
  Value* too_large =
      builder.CreateFCmpOGT(builder.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, back),
                            builder.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, value));
  Value* lost = builder.CreateZExt(builder.CreateFCmpONE(back, value), word);
  bits = builder.CreateOr(builder.CreateSub(bits, builder.CreateZExt(too_large, word)), lost);
  return builder.CreateBitCast(bits, type);
}

Value* Widener::arithmetic(Builder& builder, Instruction& instruction) {
  Value* a = widen(builder, instruction.getOperand(0));
  Value* b = widen(builder, instruction.getOperand(1));
  Value* value = builder.CreateBinOp(Instruction::BinaryOps(instruction.getOpcode()), a, b);
  return round(builder, value, instruction.getType());
}

Value* Widener::intrinsic(Builder& builder, llvm::IntrinsicInst& call) {
  llvm::Type* type = call.getType();
  const llvm::Intrinsic::ID id = call.getIntrinsicID();
  llvm::Type* bits = bits_like(type, 16);
  if (id == llvm::Intrinsic::fabs) {
    Value* value = builder.CreateBitCast(call.getArgOperand(0), bits);
    return builder.CreateBitCast(builder.CreateAnd(value, 0x7fff), type);
  }
  if (id == llvm::Intrinsic::copysign) {
    Value* value = builder.CreateAnd(builder.CreateBitCast(call.getArgOperand(0), bits), 0x7fff);
    Value* sign = builder.CreateAnd(builder.CreateBitCast(call.getArgOperand(1), bits), 0x8000);
    return builder.CreateBitCast(builder.CreateOr(value, sign), type);
  }
  // A half product plus a half fits double without loss where its rounding matters; float does not.
  const bool exact = id == llvm::Intrinsic::fma && type->getScalarType()->isHalfTy();
  llvm::SmallVector<Value*, 3> operands;
  for (Value* operand : call.args()) {
    if (narrow(operand->getType())) operand = widen(builder, operand);
    if (exact)
      operand =
          builder.CreateFPExt(operand, operand->getType()->getWithNewType(builder.getDoubleTy()));
    operands.push_back(operand);
  }
  switch (id) {
    case llvm::Intrinsic::fptosi_sat:
    case llvm::Intrinsic::fptoui_sat:
      return builder.CreateIntrinsic(id, {type, operands[0]->getType()}, operands);
    case llvm::Intrinsic::floor:
    case llvm::Intrinsic::ceil:
    case llvm::Intrinsic::trunc:
    case llvm::Intrinsic::rint:
    case llvm::Intrinsic::nearbyint:
    case llvm::Intrinsic::roundeven:
    case llvm::Intrinsic::round:
    case llvm::Intrinsic::sqrt:
    case llvm::Intrinsic::minnum:
    case llvm::Intrinsic::maxnum:
    case llvm::Intrinsic::fma: {
      Value* value = builder.CreateIntrinsic(id, {operands[0]->getType()}, operands);
      return round(builder, exact ? to_odd(builder, value) : value, type);
    }
    case llvm::Intrinsic::fmuladd: {
      Value* value =
          builder.CreateIntrinsic(llvm::Intrinsic::fma, {operands[0]->getType()}, operands);
      return round(builder, value, type);
    }
    default:
      return nullptr;
  }
}

Value* Widener::replacement(Instruction& instruction) {
  llvm::Type* type = instruction.getType();
  const bool operands_narrow =
      instruction.getNumOperands() != 0 && narrow(instruction.getOperand(0)->getType());
  if (!narrow(type) && !operands_narrow) return nullptr;
  Builder builder(&instruction);
  switch (instruction.getOpcode()) {
    case Instruction::FAdd:
    case Instruction::FSub:
    case Instruction::FMul:
    case Instruction::FDiv:
      return arithmetic(builder, instruction);
    case Instruction::FNeg: {
      llvm::Type* bits = bits_like(type, 16);
      Value* value = builder.CreateBitCast(instruction.getOperand(0), bits);
      return builder.CreateBitCast(builder.CreateXor(value, 0x8000), type);
    }
    case Instruction::FCmp:
      return builder.CreateFCmp(llvm::cast<llvm::FCmpInst>(instruction).getPredicate(),
                                widen(builder, instruction.getOperand(0)),
                                widen(builder, instruction.getOperand(1)));
    case Instruction::FPExt:
      if (instruction.getOperand(0)->getType()->getScalarType()->isHalfTy()) return nullptr;
      return builder.CreateFPCast(widen(builder, instruction.getOperand(0)), type);
    case Instruction::FPTrunc:
      if (!type->getScalarType()->isBFloatTy()) return nullptr;
      if (!instruction.getOperand(0)->getType()->getScalarType()->isFloatTy()) return nullptr;
      return round(builder, instruction.getOperand(0), type);
    case Instruction::SIToFP:
    case Instruction::UIToFP: {
      // The optimiser forms these only where the way through float is exact.
      const auto opcode = Instruction::CastOps(instruction.getOpcode());
      Value* value = builder.CreateCast(opcode, instruction.getOperand(0), float_like(type));
      return round(builder, value, type);
    }
    case Instruction::FPToSI:
    case Instruction::FPToUI:
      return builder.CreateCast(Instruction::CastOps(instruction.getOpcode()),
                                widen(builder, instruction.getOperand(0)), type);
    case Instruction::Call:
      if (auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(&instruction))
        return intrinsic(builder, *call);
      return nullptr;
    default:
      return nullptr;
  }
}

}  // namespace

void widen_half(llvm::Function& function) {
  Widener widener;
  for (Instruction& instruction : llvm::make_early_inc_range(llvm::instructions(function))) {
    Value* value = widener.replacement(instruction);
    if (!value) continue;
    instruction.replaceAllUsesWith(value);
    instruction.eraseFromParent();
  }
}

}  // namespace mfa::air
