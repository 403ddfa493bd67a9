// SPDX-License-Identifier: MIT
// bfloat values that are only moved -> 16-bit integers, for CPUs without bfloat instructions.
//
// There LLVM's back end widens a vector of bfloat to float wherever it takes it apart, and calls a
// library function per element to come back. After widen_half() no arithmetic on bfloat is left.
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/Instructions.h>

#include "air/canonical.h"

namespace mfa::air {
namespace {

using Builder = llvm::IRBuilder<>;
using llvm::Instruction;
using llvm::Value;

/// Simdgroup matrices keep their type: the vectoriser recognises them by it.
bool soft(const llvm::Type* type) {
  const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type);
  return type->getScalarType()->isBFloatTy() && (!vector || vector->getNumElements() < 64);
}

llvm::Type* bits_like(llvm::Type* type) {
  return type->getWithNewType(llvm::Type::getInt16Ty(type->getContext()));
}

Value* to_bits(Builder& builder, Value* value) {
  if (!soft(value->getType())) return value;
  return builder.CreateBitCast(value, bits_like(value->getType()));
}

/// The instruction on 16-bit integers; its metadata is copied by the caller.
Value* moved(Builder& builder, Instruction& instruction) {
  if (auto* load = llvm::dyn_cast<llvm::LoadInst>(&instruction))
    return builder.CreateAlignedLoad(bits_like(load->getType()), load->getPointerOperand(),
                                     load->getAlign(), load->isVolatile());
  if (auto* select = llvm::dyn_cast<llvm::SelectInst>(&instruction))
    return builder.CreateSelect(select->getCondition(), to_bits(builder, select->getTrueValue()),
                                to_bits(builder, select->getFalseValue()));
  if (llvm::isa<llvm::FreezeInst>(instruction))
    return builder.CreateFreeze(to_bits(builder, instruction.getOperand(0)));
  if (auto* extract = llvm::dyn_cast<llvm::ExtractElementInst>(&instruction);
      extract && soft(extract->getVectorOperandType()))
    return builder.CreateExtractElement(to_bits(builder, extract->getVectorOperand()),
                                        extract->getIndexOperand());
  if (auto* insert = llvm::dyn_cast<llvm::InsertElementInst>(&instruction))
    return builder.CreateInsertElement(to_bits(builder, insert->getOperand(0)),
                                       to_bits(builder, insert->getOperand(1)),
                                       insert->getOperand(2));
  if (auto* shuffle = llvm::dyn_cast<llvm::ShuffleVectorInst>(&instruction);
      shuffle && soft(shuffle->getOperand(0)->getType()))
    return builder.CreateShuffleVector(to_bits(builder, shuffle->getOperand(0)),
                                       to_bits(builder, shuffle->getOperand(1)),
                                       shuffle->getShuffleMask());
  return nullptr;
}

void replace_phi(llvm::PHINode& phi) {
  auto* bits = llvm::PHINode::Create(bits_like(phi.getType()), phi.getNumIncomingValues(), "",
                                     phi.getIterator());
  for (unsigned i = 0; i < phi.getNumIncomingValues(); ++i) {
    llvm::BasicBlock* from = phi.getIncomingBlock(i);
    Builder builder(from->getTerminator());
    const int known = bits->getBasicBlockIndex(from);
    bits->addIncoming(known >= 0 ? bits->getIncomingValue(unsigned(known))
                                 : to_bits(builder, phi.getIncomingValue(i)),
                      from);
  }
  Builder builder(phi.getParent(), phi.getParent()->getFirstInsertionPt());
  phi.replaceAllUsesWith(builder.CreateBitCast(bits, phi.getType()));
  phi.eraseFromParent();
}

}  // namespace

void soften_bfloat(llvm::Function& function) {
  for (Instruction& instruction : llvm::make_early_inc_range(llvm::instructions(function))) {
    Builder builder(&instruction);
    if (auto* store = llvm::dyn_cast<llvm::StoreInst>(&instruction)) {
      store->setOperand(0, to_bits(builder, store->getValueOperand()));
    } else if (soft(instruction.getType()) && !llvm::isa<llvm::PHINode>(instruction)) {
      Value* bits = moved(builder, instruction);
      if (!bits) continue;
      if (auto* made = llvm::dyn_cast<Instruction>(bits)) made->copyMetadata(instruction);
      instruction.replaceAllUsesWith(builder.CreateBitCast(bits, instruction.getType()));
      instruction.eraseFromParent();
    }
  }
  llvm::SmallVector<llvm::PHINode*, 16> phis;
  for (llvm::BasicBlock& block : function)
    for (llvm::PHINode& phi : block.phis())
      if (soft(phi.getType())) phis.push_back(&phi);
  for (llvm::PHINode* phi : phis) replace_phi(*phi);
}

}  // namespace mfa::air
