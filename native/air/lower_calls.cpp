// SPDX-License-Identifier: MIT
// Calls of scalar air.* functions -> LLVM intrinsics, plain arithmetic or calls of air/builtins.
#include "air/lower_calls.h"

#include <llvm/IR/Instructions.h>
#include <llvm/IR/Module.h>

namespace mfa::air {
namespace {

bool starts_with_any(llvm::StringRef name, std::initializer_list<const char*> prefixes) {
  for (const char* prefix : prefixes)
    if (name.starts_with(prefix)) return true;
  return false;
}

/// Apple's declarations leave out that these only exchange registers; without it no load could be
/// forwarded across them.
void annotate(llvm::Function& function) {
  const llvm::StringRef name = function.getName();
  if (starts_with_any(name, {"air.simd_", "air.quad_", "air.simdgroup_matrix_8x8_init",
                             "air.simdgroup_matrix_8x8_multiply"})) {
    function.setDoesNotAccessMemory();
    function.setConvergent();
    function.addFnAttr(llvm::Attribute::WillReturn);
    function.setDoesNotThrow();
  } else if (starts_with_any(name, {"air.get_simdgroup_size", "air.get_thread_index_in_simdgroup"})) {
    function.setDoesNotAccessMemory();
    function.addFnAttr(llvm::Attribute::WillReturn);
    function.setDoesNotThrow();
  } else if (starts_with_any(name, {"air.wg.barrier", "air.simdgroup.barrier",
                                    "air.simdgroup_matrix_", "air.simdgroup_async_copy"})) {
    function.setConvergent();
    function.setDoesNotThrow();
  }
}

/// A copy is done when its call returns, so its event carries nothing.
llvm::Value* lower_events(const AirCall& call) {
  if (call.op.starts_with("simdgroup_async_copy")) {
    if (call.type()->isPointerTy() && !call.call.use_empty())
      call.call.replaceAllUsesWith(llvm::Constant::getNullValue(call.type()));
    return nullptr;  // the copy itself stays
  }
  if (call.op == "wait_simdgroup_events") return llvm::PoisonValue::get(call.type());
  return nullptr;
}

}  // namespace

llvm::Value* AirCall::arg(unsigned i) const { return call.getArgOperand(i); }
llvm::Type* AirCall::type() const { return call.getType(); }

llvm::Value* per_component(llvm::IRBuilder<>& builder, llvm::ArrayRef<llvm::Value*> operands,
                           llvm::Type* result,
                           llvm::function_ref<llvm::Value*(llvm::ArrayRef<llvm::Value*>)> make) {
  const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(result);
  if (!vector) return make(operands);
  llvm::Value* out = llvm::PoisonValue::get(result);
  for (unsigned i = 0; i < vector->getNumElements(); ++i) {
    llvm::SmallVector<llvm::Value*, 4> scalars;
    for (llvm::Value* operand : operands)
      scalars.push_back(operand->getType()->isVectorTy() ? builder.CreateExtractElement(operand, i)
                                                         : operand);
    out = builder.CreateInsertElement(out, make(scalars), i);
  }
  return out;
}

void lower_calls(llvm::Module& module) {
  for (llvm::Function& function : llvm::make_early_inc_range(module.functions())) {
    llvm::StringRef name = function.getName();
    if (!function.isDeclaration() || !name.consume_front("air.")) continue;
    annotate(function);
    const bool fast = name.consume_front("fast_");
    const auto [op, suffix] = name.split('.');
    for (llvm::User* user : llvm::make_early_inc_range(function.users())) {
      auto* instruction = llvm::dyn_cast<llvm::CallInst>(user);
      if (!instruction || instruction->getCalledFunction() != &function) continue;
      const AirCall call{*instruction, op, suffix, fast};
      llvm::IRBuilder<> builder(instruction);
      llvm::Value* value = lower_events(call);
      if (!value) value = lower_convert(call, builder);
      if (!value) value = lower_float(call, builder);
      if (!value) value = lower_integer(call, builder);
      if (!value) value = lower_pack(call, builder);
      if (!value) continue;
      if (!instruction->getType()->isVoidTy()) instruction->replaceAllUsesWith(value);
      instruction->eraseFromParent();
    }
    if (function.use_empty()) function.eraseFromParent();
  }
}

}  // namespace mfa::air
