// SPDX-License-Identifier: MIT
// Loads through a choice of private variables -> a choice of loaded values.
//
// std::max on a struct returns a reference: a phi or select of allocas whose address would keep the
// variables in memory. Loading from every candidate is harmless, they all exist.
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/Instructions.h>

#include "air/canonical.h"

namespace mfa::air {
namespace {

bool is_private_variable(const llvm::Value* pointer) {
  return llvm::isa<llvm::AllocaInst>(pointer->stripInBoundsConstantOffsets());
}

/// Whether everything the pointer can be is a private variable.
bool chooses_private(const llvm::Value* pointer, unsigned depth = 0) {
  if (is_private_variable(pointer)) return true;
  if (depth > 8) return false;
  if (const auto* select = llvm::dyn_cast<llvm::SelectInst>(pointer))
    return chooses_private(select->getTrueValue(), depth + 1) &&
           chooses_private(select->getFalseValue(), depth + 1);
  const auto* phi = llvm::dyn_cast<llvm::PHINode>(pointer);
  if (!phi) return false;
  for (const llvm::Value* incoming : phi->incoming_values())
    if (!chooses_private(incoming, depth + 1)) return false;
  return true;
}

/// Nothing between the phis of the block and the load writes memory.
bool sees_memory_at_entry(const llvm::LoadInst& load) {
  for (const llvm::Instruction& instruction : *load.getParent()) {
    if (&instruction == &load) return true;
    if (instruction.mayWriteToMemory()) return false;
  }
  return false;
}

llvm::Value* load_from(llvm::Value* pointer, const llvm::LoadInst& like,
                       llvm::Instruction* before) {
  llvm::IRBuilder<> builder(before);
  return builder.CreateAlignedLoad(like.getType(), pointer, like.getAlign());
}

llvm::Value* replacement(llvm::LoadInst& load) {
  llvm::Value* pointer = load.getPointerOperand();
  if (!load.isSimple() || is_private_variable(pointer) || !chooses_private(pointer)) return nullptr;
  if (auto* select = llvm::dyn_cast<llvm::SelectInst>(pointer)) {
    llvm::Value* first = load_from(select->getTrueValue(), load, &load);
    llvm::Value* second = load_from(select->getFalseValue(), load, &load);
    return llvm::IRBuilder<>(&load).CreateSelect(select->getCondition(), first, second);
  }
  auto* phi = llvm::cast<llvm::PHINode>(pointer);
  if (phi->getParent() != load.getParent() || !sees_memory_at_entry(load)) return nullptr;
  auto* values =
      llvm::PHINode::Create(load.getType(), phi->getNumIncomingValues(), "", phi->getIterator());
  for (unsigned i = 0; i < phi->getNumIncomingValues(); ++i) {
    llvm::BasicBlock* from = phi->getIncomingBlock(i);
    const int known = values->getBasicBlockIndex(from);  // a switch may enter twice from one block
    values->addIncoming(known >= 0
                            ? values->getIncomingValue(unsigned(known))
                            : load_from(phi->getIncomingValue(i), load, from->getTerminator()),
                        from);
  }
  return values;
}

}  // namespace

bool fold_pointer_choices(llvm::Function& function) {
  bool changed = false;
  llvm::SmallVector<llvm::LoadInst*, 32> loads;
  do {
    loads.clear();
    for (llvm::Instruction& instruction : llvm::instructions(function))
      if (auto* load = llvm::dyn_cast<llvm::LoadInst>(&instruction);
          load && load->getPointerAddressSpace() == 0 &&
          llvm::isa<llvm::PHINode, llvm::SelectInst>(load->getPointerOperand()))
        loads.push_back(load);
    size_t folded = 0;
    for (llvm::LoadInst* load : loads) {
      llvm::Value* value = replacement(*load);
      if (!value) continue;
      load->replaceAllUsesWith(value);
      load->eraseFromParent();
      ++folded;
    }
    if (folded == 0) return changed;
    changed = true;
  } while (true);
}

}  // namespace mfa::air
