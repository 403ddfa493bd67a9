// SPDX-License-Identifier: MIT
// Calls of scalar air.* functions -> LLVM intrinsics, plain arithmetic or calls of air/builtins.
#pragma once

#include <llvm/ADT/StringRef.h>
#include <llvm/IR/IRBuilder.h>

namespace llvm {
class CallInst;
class Module;
}  // namespace llvm

namespace mfa::air {

/// Replaces every call it knows; the others stay for the check at the end of specialise(). Also
/// states on the declarations of simdgroup operations that they do not touch memory.
void lower_calls(llvm::Module& module);

/// One call: `op` is the name without "air." and "fast_", up to the first dot; `suffix` the rest.
struct AirCall {
  llvm::CallInst& call;
  llvm::StringRef op, suffix;
  bool fast = false;
  llvm::Value* arg(unsigned i) const;
  llvm::Type* type() const;
};

// Each returns the value to use instead of the call, or null if the call is not of its family.
llvm::Value* lower_float(const AirCall& call, llvm::IRBuilder<>& builder);
llvm::Value* lower_integer(const AirCall& call, llvm::IRBuilder<>& builder);
llvm::Value* lower_convert(const AirCall& call, llvm::IRBuilder<>& builder);
llvm::Value* lower_pack(const AirCall& call, llvm::IRBuilder<>& builder);

/// Like the call for every component of vector operands: `make` builds one scalar result.
llvm::Value* per_component(llvm::IRBuilder<>& builder, llvm::ArrayRef<llvm::Value*> operands,
                           llvm::Type* result,
                           llvm::function_ref<llvm::Value*(llvm::ArrayRef<llvm::Value*>)> make);

}  // namespace mfa::air
