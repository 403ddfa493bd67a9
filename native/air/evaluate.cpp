// SPDX-License-Identifier: MIT
// Constants that depend on constants -> initialisers; branches on constants -> the arm they take.
//
// LLVM's GlobalOpt and SCCP do both, and look at much more than constants: on a kernel of many
// variants they took a third of the time of specialisation.
#include <llvm/ADT/PostOrderIterator.h>
#include <llvm/Analysis/InstructionSimplify.h>
#include <llvm/IR/GlobalVariable.h>
#include <llvm/IR/Instructions.h>
#include <llvm/IR/Module.h>
#include <llvm/Transforms/Utils/Local.h>

#include "air/canonical.h"
#include "air/constants.h"

namespace mfa::air {
namespace {

/// The stores of a constructor that does nothing but store constants into whole globals.
bool plain_stores(llvm::Function& function, llvm::SmallVectorImpl<llvm::StoreInst*>& stores) {
  if (function.size() != 1) return false;
  for (llvm::Instruction& instruction : function.front()) {
    if (llvm::isa<llvm::ReturnInst>(instruction)) continue;
    auto* store = llvm::dyn_cast<llvm::StoreInst>(&instruction);
    auto* global =
        store ? llvm::dyn_cast<llvm::GlobalVariable>(store->getPointerOperand()) : nullptr;
    if (!global || global->getAddressSpace() != 2 || store->isVolatile() ||
        !llvm::isa<llvm::Constant>(store->getValueOperand()) ||
        store->getValueOperand()->getType() != global->getValueType())
      return false;
    stores.push_back(store);
  }
  return true;
}

}  // namespace

bool evaluate_constructors(llvm::Module& module) {
  const std::vector<llvm::Function*> functions = constructors(module);
  for (llvm::Function* function : functions) {
    fold_constants(*function);  // what earlier ones have stored is known
    llvm::SmallVector<llvm::StoreInst*, 64> stores;
    if (!plain_stores(*function, stores)) return false;
    for (llvm::StoreInst* store : stores) {
      auto* global = llvm::cast<llvm::GlobalVariable>(store->getPointerOperand());
      global->setInitializer(llvm::cast<llvm::Constant>(store->getValueOperand()));
      global->setConstant(true);
    }
  }
  if (auto* list = module.getGlobalVariable("llvm.global_ctors")) list->eraseFromParent();
  for (llvm::Function* function : functions)
    if (function->use_empty()) function->eraseFromParent();
  return true;
}

void fold_constants(llvm::Function& function) {
  const llvm::SimplifyQuery query(function.getParent()->getDataLayout());
  for (bool pruned = true; pruned;) {
    for (llvm::BasicBlock* block : llvm::ReversePostOrderTraversal<llvm::Function*>(&function)) {
      for (llvm::Instruction& instruction : llvm::make_early_inc_range(*block)) {
        llvm::Value* value = llvm::simplifyInstruction(&instruction, query);
        if (!value || value == &instruction) continue;
        instruction.replaceAllUsesWith(value);
        if (llvm::isInstructionTriviallyDead(&instruction)) instruction.eraseFromParent();
      }
    }
    pruned = false;
    for (llvm::BasicBlock& block : function) pruned |= llvm::ConstantFoldTerminator(&block, true);
    if (pruned) llvm::removeUnreachableBlocks(function);
  }
}

}  // namespace mfa::air
