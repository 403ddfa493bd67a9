// SPDX-License-Identifier: MIT
// Turns pairs of fmul and fadd that the library's vector operators left into llvm.fmuladd.
#include "metalc/fuse.h"

#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Operator.h"

namespace mfa::metalc {
namespace {

llvm::Instruction* product(llvm::Value* value) {
  auto* instruction = llvm::dyn_cast<llvm::Instruction>(value);
  bool fits = instruction && instruction->getOpcode() == llvm::Instruction::FMul &&
              instruction->hasOneUse() && instruction->hasAllowContract();
  return fits ? instruction : nullptr;
}

void fuse(llvm::Instruction& sum) {
  bool minus = sum.getOpcode() == llvm::Instruction::FSub;
  if ((!minus && sum.getOpcode() != llvm::Instruction::FAdd) || !sum.hasAllowContract()) return;
  unsigned side = product(sum.getOperand(0)) ? 0 : 1;
  llvm::Instruction* multiply = product(sum.getOperand(side));
  if (!multiply) return;
  llvm::IRBuilder<> builder(&sum);
  builder.setFastMathFlags(sum.getFastMathFlags());
  llvm::Value* a = multiply->getOperand(0);
  llvm::Value* c = sum.getOperand(1 - side);
  if (minus && side == 0) c = builder.CreateFNeg(c);
  if (minus && side == 1) a = builder.CreateFNeg(a);
  llvm::Value* fused = builder.CreateIntrinsic(llvm::Intrinsic::fmuladd, {sum.getType()},
                                               {a, multiply->getOperand(1), c});
  fused->takeName(&sum);
  sum.replaceAllUsesWith(fused);
  sum.eraseFromParent();
  multiply->eraseFromParent();
}

}  // namespace

void fuse_products(llvm::Function& function, bool fast_math) {
  for (llvm::BasicBlock& block : function) {
    for (auto at = block.begin(); at != block.end();) fuse(*at++);
    for (llvm::Instruction& instruction : block) {
      if (!llvm::isa<llvm::FPMathOperator>(instruction)) continue;
      if (!fast_math)
        instruction.setHasAllowContract(false);
      else if (instruction.getFastMathFlags().allowReassoc())
        instruction.setHasAllowContract(true);
    }
  }
}

}  // namespace mfa::metalc
