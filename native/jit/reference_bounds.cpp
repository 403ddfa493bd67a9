// SPDX-License-Identifier: MIT
// Accesses to private arrays with an index known at run time only -> accesses that stay inside.
#include "jit/reference_bounds.h"

#include "llvm/Analysis/ValueTracking.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/Module.h"

namespace mfa::jit {

using llvm::AllocaInst;
using llvm::Value;

namespace {

/// The private array behind `pointer`, if it is reached by an offset that is not constant.
AllocaInst* indexed_array(Value* pointer, const llvm::DataLayout& layout) {
  auto* array = llvm::dyn_cast<AllocaInst>(llvm::getUnderlyingObject(pointer, 0));
  if (!array || !array->isStaticAlloca()) return nullptr;
  llvm::APInt offset(64, 0);
  bool constant = pointer->stripAndAccumulateConstantOffsets(layout, offset, true) == array;
  return constant ? nullptr : array;
}

}  // namespace

void bound_private_accesses(llvm::Function& thread) {
  const llvm::DataLayout& layout = thread.getParent()->getDataLayout();
  AllocaInst* outside = nullptr;  // where accesses out of bounds go
  uint64_t outside_bytes = 0;
  for (llvm::Instruction& inst : llvm::make_early_inc_range(llvm::instructions(thread))) {
    Value* pointer = llvm::getLoadStorePointerOperand(&inst);
    AllocaInst* array = pointer ? indexed_array(pointer, layout) : nullptr;
    if (!array) continue;
    const uint64_t size = layout.getTypeStoreSize(llvm::getLoadStoreType(&inst)).getFixedValue();
    const uint64_t bytes = array->getAllocationSize(layout)->getFixedValue();
    llvm::IRBuilder<> b(&*thread.getEntryBlock().getFirstInsertionPt());
    if (!outside || size > outside_bytes) {
      outside = b.CreateAlloca(llvm::ArrayType::get(b.getInt8Ty(), size));
      outside->setAlignment(llvm::Align(64));
      outside_bytes = size;
    }
    b.SetInsertPoint(&inst);
    Value* offset = b.CreateSub(b.CreatePtrToInt(pointer, b.getInt64Ty()),
                                b.CreatePtrToInt(array, b.getInt64Ty()));
    Value* inside = bytes < size ? b.getFalse() : b.CreateICmpULE(offset, b.getInt64(bytes - size));
    Value* elsewhere = outside;
    if (elsewhere->getType() != pointer->getType())
      elsewhere = b.CreateAddrSpaceCast(elsewhere, pointer->getType());
    inst.setOperand(llvm::isa<llvm::LoadInst>(inst) ? 0 : 1,
                    b.CreateSelect(inside, pointer, elsewhere));
  }
}

void relax_vector_alignment(llvm::Function& thread) {
  const llvm::DataLayout& layout = thread.getParent()->getDataLayout();
  for (llvm::Instruction& inst : llvm::instructions(thread)) {
    if (!llvm::getLoadStorePointerOperand(&inst)) continue;
    auto* type = llvm::dyn_cast<llvm::FixedVectorType>(llvm::getLoadStoreType(&inst));
    if (!type) continue;
    const llvm::Align element(llvm::PowerOf2Ceil(layout.getTypeStoreSize(type->getElementType())));
    if (auto* load = llvm::dyn_cast<llvm::LoadInst>(&inst))
      load->setAlignment(std::min(load->getAlign(), element));
    else
      llvm::cast<llvm::StoreInst>(inst).setAlignment(
          std::min(llvm::cast<llvm::StoreInst>(inst).getAlign(), element));
  }
}

}  // namespace mfa::jit
