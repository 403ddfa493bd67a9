// SPDX-License-Identifier: MIT
// Turns LLVM's conversion instructions into calls of air.convert.*. Runs last, so that LLVM folds
// what it can.
#include "metalc/conversions.h"

#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/Module.h"

namespace mfa::metalc {
namespace {

// 's', 'u' or 'f' and the type: "s.i32", "f.v2bf16".
std::string code(llvm::Type* type, char kind) {
  std::string result(1, kind);
  result += '.';
  if (auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type)) {
    result += 'v' + std::to_string(vector->getNumElements());
    type = vector->getElementType();
  }
  if (type->isBFloatTy()) return result + "bf16";
  return result + (type->isIntegerTy() ? 'i' : 'f') + std::to_string(type->getScalarSizeInBits());
}

void replace(llvm::Instruction& old, llvm::Value* from, char to_kind, char from_kind) {
  llvm::Module& module = *old.getModule();
  std::string name =
      "air.convert." + code(old.getType(), to_kind) + "." + code(from->getType(), from_kind);
  llvm::FunctionCallee callee = module.getOrInsertFunction(name, old.getType(), from->getType());
  auto* function = llvm::cast<llvm::Function>(callee.getCallee());
  for (auto attribute :
       {llvm::Attribute::NoUnwind, llvm::Attribute::WillReturn, llvm::Attribute::NoFree,
        llvm::Attribute::NoSync, llvm::Attribute::MustProgress})
    function->addFnAttr(attribute);
  function->setDoesNotAccessMemory();
  llvm::IRBuilder<> builder(&old);
  llvm::CallInst* call = builder.CreateCall(callee, {from});
  if (llvm::isa<llvm::FPMathOperator>(call) && llvm::isa<llvm::FPMathOperator>(&old))
    call->copyFastMathFlags(&old);
  call->takeName(&old);
  old.replaceAllUsesWith(call);
  old.eraseFromParent();
}

void spell(llvm::Instruction& instruction) {
  llvm::Value* from = instruction.getNumOperands() ? instruction.getOperand(0) : nullptr;
  switch (instruction.getOpcode()) {
    case llvm::Instruction::SIToFP:
      return replace(instruction, from, 'f', 's');
    case llvm::Instruction::UIToFP:
      return replace(instruction, from, 'f', 'u');
    case llvm::Instruction::FPToSI:
      return replace(instruction, from, 's', 'f');
    case llvm::Instruction::FPToUI:
      return replace(instruction, from, 'u', 'f');
    case llvm::Instruction::FPExt:
    case llvm::Instruction::FPTrunc:
      if (instruction.getType()->isVectorTy()) replace(instruction, from, 'f', 'f');
      return;
    default:
      break;
  }
  if (auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(&instruction)) {
    if (call->getIntrinsicID() == llvm::Intrinsic::fptosi_sat) replace(instruction, from, 's', 'f');
    if (call->getIntrinsicID() == llvm::Intrinsic::fptoui_sat) replace(instruction, from, 'u', 'f');
  }
}

}  // namespace

void spell_conversions(llvm::Function& function) {
  for (llvm::BasicBlock& block : function)
    for (llvm::Instruction& instruction : llvm::make_early_inc_range(block)) spell(instruction);
}

}  // namespace mfa::metalc
