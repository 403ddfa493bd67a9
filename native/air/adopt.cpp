// SPDX-License-Identifier: MIT
// A module for Apple's target -> the same module for the host, ready to be optimised.
#include <llvm/IR/DebugInfo.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/Operator.h>
#include <llvm/Target/TargetMachine.h>

#include "air/canonical.h"

namespace mfa::air {
namespace {

/// Leaves no alignment wider than what buffers have.
void limit_alignment(llvm::Instruction& instruction) {
  const auto limit = [](llvm::MaybeAlign align) {
    return std::min(align.valueOrOne(), llvm::Align(kAddressAlign));
  };
  if (auto* load = llvm::dyn_cast<llvm::LoadInst>(&instruction)) {
    load->setAlignment(limit(load->getAlign()));
  } else if (auto* store = llvm::dyn_cast<llvm::StoreInst>(&instruction)) {
    store->setAlignment(limit(store->getAlign()));
  } else if (auto* memory = llvm::dyn_cast<llvm::MemIntrinsic>(&instruction)) {
    memory->setDestAlignment(limit(memory->getDestAlign()));
    if (auto* copy = llvm::dyn_cast<llvm::MemTransferInst>(memory))
      copy->setSourceAlignment(limit(copy->getSourceAlign()));
  }
}

void adopt_function(llvm::Function& function, bool is_kernel) {
  function.setComdat(nullptr);
  function.setSection("");
  const bool convergent = function.isConvergent();
  // Frame pointers, vector widths, fast-math promises: all of them are the host's to decide.
  function.setAttributes(function.getAttributes().removeFnAttributes(function.getContext()));
  if (convergent) function.setConvergent();
  function.setDoesNotThrow();
  function.addFnAttr(llvm::Attribute::MustProgress);
  function.setCallingConv(llvm::CallingConv::C);
  if (is_kernel) {
    function.setLinkage(llvm::GlobalValue::ExternalLinkage);
    function.setVisibility(llvm::GlobalValue::DefaultVisibility);
    function.setUnnamedAddr(llvm::GlobalValue::UnnamedAddr::None);
  } else {
    function.setLinkage(llvm::GlobalValue::InternalLinkage);
    function.addFnAttr(llvm::Attribute::AlwaysInline);
  }
  for (llvm::Argument& argument : function.args()) argument.removeAttr(llvm::Attribute::Alignment);
  for (llvm::Instruction& instruction : llvm::make_early_inc_range(llvm::instructions(function))) {
    limit_alignment(instruction);
    if (auto* call = llvm::dyn_cast<llvm::CallBase>(&instruction)) {
      call->setCallingConv(llvm::CallingConv::C);
      call->removeFnAttr(llvm::Attribute::NoInline);
    }
    // Masked rows of attention are -inf and must stay usable: fast math may reassociate and
    // contract but not assume that infinities and NaN do not occur.
    if (llvm::isa<llvm::FPMathOperator>(instruction)) {
      instruction.setHasNoNaNs(false);
      instruction.setHasNoInfs(false);
    }
    if (llvm::isa<llvm::LifetimeIntrinsic>(instruction)) instruction.eraseFromParent();
  }
}

}  // namespace

void adopt_target(llvm::Module& module, llvm::Function& kernel, llvm::TargetMachine& target) {
  llvm::StripDebugInfo(module);
  module.setTargetTriple(target.getTargetTriple().str());
  module.setDataLayout(target.createDataLayout());
  for (llvm::Function& function : module) {
    if (!function.isDeclaration()) adopt_function(function, &function == &kernel);
  }
}

uint32_t threadgroup_bytes(const llvm::Module& module) {
  uint64_t bytes = 0;
  for (const llvm::GlobalVariable& global : module.globals()) {
    if (global.getAddressSpace() != 3) continue;
    const llvm::DataLayout& layout = module.getDataLayout();
    const llvm::Align align =
        global.getAlign().value_or(layout.getABITypeAlign(global.getValueType()));
    bytes = llvm::alignTo(bytes, align);
    bytes += layout.getTypeAllocSize(global.getValueType());
  }
  return uint32_t(std::min<uint64_t>(llvm::alignTo(bytes, 16), UINT32_MAX));
}

}  // namespace mfa::air
