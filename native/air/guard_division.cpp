// SPDX-License-Identifier: MIT
// Integer divisions that may trap on a CPU -> divisions that cannot.
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/PatternMatch.h>

#include "air/canonical.h"

namespace mfa::air {

void guard_divisions(llvm::Function& function) {
  using llvm::Instruction;
  for (Instruction& instruction : llvm::instructions(function)) {
    const unsigned opcode = instruction.getOpcode();
    if (opcode != Instruction::SDiv && opcode != Instruction::UDiv && opcode != Instruction::SRem &&
        opcode != Instruction::URem)
      continue;
    llvm::Value *dividend = instruction.getOperand(0), *divisor = instruction.getOperand(1);
    llvm::Type* type = divisor->getType();
    llvm::IRBuilder<> builder(&instruction);
    // With a constant divisor these compares fold away.
    llvm::Value* traps = builder.CreateIsNull(divisor);
    if (opcode == Instruction::SDiv || opcode == Instruction::SRem) {
      const auto smallest = llvm::APInt::getSignedMinValue(type->getScalarSizeInBits());
      llvm::Value* overflows =
          builder.CreateAnd(builder.CreateICmpEQ(dividend, llvm::ConstantInt::get(type, smallest)),
                            builder.CreateICmpEQ(divisor, llvm::Constant::getAllOnesValue(type)));
      traps = builder.CreateOr(traps, overflows);
    }
    instruction.setOperand(1,
                           builder.CreateSelect(traps, llvm::ConstantInt::get(type, 1), divisor));
    instruction.dropPoisonGeneratingFlags();
  }
}

}  // namespace mfa::air
