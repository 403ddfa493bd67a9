// SPDX-License-Identifier: MIT
// memcpy, memmove and memset -> loads and stores, or a loop where they are long.
#include <llvm/Analysis/TargetTransformInfo.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/Module.h>
#include <llvm/Transforms/Utils/LowerMemIntrinsics.h>

#include "air/canonical.h"

namespace mfa::air {
namespace {

constexpr uint64_t kInlineBytes = 64;

/// Elements of the largest integer type that both alignments allow.
uint64_t element_bytes(uint64_t size, uint64_t align) {
  uint64_t bytes = std::min<uint64_t>(align, 8);
  while (size % bytes != 0) bytes /= 2;
  return bytes;
}

llvm::Type* block_type(llvm::IRBuilder<>& builder, uint64_t size, uint64_t element) {
  llvm::Type* type = builder.getIntNTy(unsigned(8 * element));
  return size == element ? type : llvm::FixedVectorType::get(type, unsigned(size / element));
}

void copy_inline(llvm::MemTransferInst& copy, uint64_t size) {
  llvm::IRBuilder<> builder(&copy);
  const uint64_t align =
      std::min(copy.getDestAlign().valueOrOne(), copy.getSourceAlign().valueOrOne()).value();
  llvm::Type* type = block_type(builder, size, element_bytes(size, align));
  auto* loaded = builder.CreateAlignedLoad(type, copy.getSource(), copy.getSourceAlign());
  auto* stored = builder.CreateAlignedStore(loaded, copy.getDest(), copy.getDestAlign());
  for (unsigned kind : {llvm::LLVMContext::MD_alias_scope, llvm::LLVMContext::MD_noalias}) {
    loaded->setMetadata(kind, copy.getMetadata(kind));
    stored->setMetadata(kind, copy.getMetadata(kind));
  }
}

void set_inline(llvm::MemSetInst& set, uint64_t size) {
  llvm::IRBuilder<> builder(&set);
  const uint64_t element = element_bytes(size, set.getDestAlign().valueOrOne().value());
  llvm::Type* type = block_type(builder, size, element);
  llvm::Value* value = builder.CreateZExt(set.getValue(), type->getScalarType());
  const llvm::APInt ones = llvm::APInt::getSplat(unsigned(8 * element), llvm::APInt(8, 1));
  value = builder.CreateMul(value, llvm::ConstantInt::get(type->getScalarType(), ones));
  if (type->isVectorTy()) value = builder.CreateVectorSplat(unsigned(size / element), value);
  builder.CreateAlignedStore(value, set.getDest(), set.getDestAlign());
}

}  // namespace

// The vectoriser moves one block per lane, where loads and stores of elements would become gathers
// and scatters.
bool keeps_whole(const llvm::MemIntrinsic& call) {
  const auto* copy = llvm::dyn_cast<llvm::MemCpyInst>(&call);
  const auto* length = llvm::dyn_cast<llvm::ConstantInt>(call.getLength());
  return copy && length && length->getValue().ugt(8) && length->getValue().ule(kInlineBytes) &&
         copy->getDestAddressSpace() != 0 && copy->getSourceAddressSpace() != 0;
}

void expand_memory_calls(llvm::Function& function) {
  llvm::SmallVector<llvm::MemIntrinsic*, 16> calls;
  for (llvm::Instruction& instruction : llvm::instructions(function))
    if (auto* call = llvm::dyn_cast<llvm::MemIntrinsic>(&instruction)) calls.push_back(call);
  const llvm::TargetTransformInfo costs(function.getParent()->getDataLayout());
  for (llvm::MemIntrinsic* call : calls) {
    const auto* length = llvm::dyn_cast<llvm::ConstantInt>(call->getLength());
    const uint64_t size = length ? length->getLimitedValue() : UINT64_MAX;
    auto* copy = llvm::dyn_cast<llvm::MemTransferInst>(call);
    auto* set = llvm::dyn_cast<llvm::MemSetInst>(call);
    if (keeps_whole(*call)) continue;
    if (size != 0 && size <= kInlineBytes && copy) {
      copy_inline(*copy, size);
    } else if (size != 0 && size <= kInlineBytes && set) {
      set_inline(*set, size);
    } else if (size != 0 && set) {
      llvm::expandMemSetAsLoop(set);
    } else if (auto* plain = llvm::dyn_cast<llvm::MemCpyInst>(call); plain && size != 0) {
      llvm::expandMemCpyAsLoop(plain, costs);
    } else if (size != 0) {
      continue;  // a long memmove, refused by the check
    }
    call->eraseFromParent();
  }
}

}  // namespace mfa::air
