// SPDX-License-Identifier: MIT
// A canonical kernel -> nothing, or the name of the construct that cannot be run.
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/Instructions.h>
#include <llvm/IR/IntrinsicInst.h>

#include "air/canonical.h"
#include "air/load.h"
#include "exec/abi.h"

namespace mfa::air {
namespace {

// What the later layers know (specialize.h).
constexpr const char* kKeptCalls[] = {"air.wg.barrier",
                                      "air.simdgroup.barrier",
                                      "air.atomic.",
                                      "air.simd_",
                                      "air.quad_",
                                      "air.simdgroup_matrix_8x8_",
                                      "air.simdgroup_async_copy_",
                                      "air.get_simdgroup_size.",
                                      "air.get_thread_index_in_simdgroup."};

constexpr const char* kBuiltinValues[] = {"air.thread_position_in_grid",
                                          "air.thread_position_in_threadgroup",
                                          "air.threadgroup_position_in_grid",
                                          "air.threads_per_grid",
                                          "air.threadgroups_per_grid",
                                          "air.threads_per_threadgroup",
                                          "air.thread_index_in_threadgroup",
                                          "air.thread_index_in_simdgroup",
                                          "air.simdgroup_index_in_threadgroup",
                                          "air.simdgroups_per_threadgroup",
                                          "air.threads_per_simdgroup",
                                          "air.thread_index_in_quadgroup",
                                          "air.quadgroup_index_in_threadgroup",
                                          "air.quadgroups_per_threadgroup",
                                          "air.dispatch_threads_per_threadgroup",
                                          "air.dispatch_simdgroups_per_threadgroup",
                                          "air.dispatch_quadgroups_per_threadgroup",
                                          "air.thread_execution_width",
                                          "air.grid_origin",
                                          "air.grid_size"};

bool kept(llvm::StringRef name) {
  for (const char* prefix : kKeptCalls)
    if (name.starts_with(prefix)) return true;
  return false;
}

std::string problem(const llvm::Instruction& instruction) {
  if (const auto* call = llvm::dyn_cast<llvm::CallInst>(&instruction)) {
    if (call->isInlineAsm()) return "inline assembly";
    const llvm::Function* callee = call->getCalledFunction();
    if (!callee) return "a call through a pointer (a visible function table)";
    if (!callee->isDeclaration()) return "a recursive function";
    if (const auto* copy = llvm::dyn_cast<llvm::MemIntrinsic>(call))
      return keeps_whole(*copy) ? "" : "a memory move of variable length";
    if (callee->isIntrinsic() || kept(callee->getName())) return "";
    return callee->getName().str();
  }
  if (const auto* alloca = llvm::dyn_cast<llvm::AllocaInst>(&instruction)) {
    if (!alloca->isStaticAlloca()) return "a private array of variable size";
    return "";
  }
  if (const auto* store = llvm::dyn_cast<llvm::StoreInst>(&instruction);
      store && store->getPointerAddressSpace() == 2)
    return "a store to constant memory";
  switch (instruction.getOpcode()) {
    case llvm::Instruction::Fence:
    case llvm::Instruction::AtomicRMW:
    case llvm::Instruction::AtomicCmpXchg:
    case llvm::Instruction::Invoke:
    case llvm::Instruction::CallBr:
    case llvm::Instruction::IndirectBr:
    case llvm::Instruction::Switch:
    case llvm::Instruction::Resume:
    case llvm::Instruction::VAArg:
      return std::string("the instruction ") + instruction.getOpcodeName();
    default:
      return "";
  }
}

std::string problem(const Argument& argument, const llvm::Argument& parameter) {
  using Kind = Argument::Kind;
  const bool used = argument.active && !parameter.use_empty();
  const std::string name = "argument '" + argument.name + "'";
  switch (argument.kind) {
    case Kind::texture:
      return used ? name + " is a texture (" + argument.type_name + ")" : "";
    case Kind::sampler:
      return used ? name + " is a sampler" : "";
    case Kind::function_table:
      return used ? name + " is a function table" : "";
    case Kind::builtin: {
      llvm::Type* scalar = parameter.getType()->getScalarType();
      if (!used) return "";
      if (!scalar->isIntegerTy(16) && !scalar->isIntegerTy(32))
        return name + " has an unexpected type";
      for (const char* known : kBuiltinValues)
        if (argument.builtin == known) return "";
      return argument.builtin;
    }
    case Kind::buffer:
    case Kind::threadgroup:
      if (argument.slot >= MFA_MAX_BUFFERS)
        return name + " has the index " + std::to_string(argument.slot) + ", the largest is 30";
      if (!parameter.getType()->isPointerTy()) return name + " is not a pointer";
      if (parameter.getType()->getPointerAddressSpace() < 1 ||
          parameter.getType()->getPointerAddressSpace() > 3)
        return name + " has an unknown address space";
      return "";
  }
  return "";
}

}  // namespace

Result<void> check(const llvm::Function& kernel, const Reflection& reflection,
                   const FunctionRecord& record) {
  for (const llvm::Argument& parameter : kernel.args()) {
    const std::string what = problem(reflection.arguments[parameter.getArgNo()], parameter);
    if (!what.empty()) return refusal(record, what + ", which is not supported");
  }
  for (const llvm::Instruction& instruction : llvm::instructions(kernel)) {
    const std::string what = problem(instruction);
    if (!what.empty()) return refusal(record, "it uses " + what + ", which is not supported");
  }
  return {};
}

}  // namespace mfa::air
