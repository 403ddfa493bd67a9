// SPDX-License-Identifier: MIT
// The bitcode of a function record -> a verified LLVM module and its !air.kernel entry.
#pragma once

#include <memory>

#include "air/metallib.h"
#include "base/result.h"

namespace llvm {
class Function;
class LLVMContext;
class MDNode;
class Module;
}  // namespace llvm

namespace mfa::air {

struct Loaded {
  std::unique_ptr<llvm::Module> module;
  llvm::Function* kernel = nullptr;
  llvm::MDNode* entry = nullptr;  // the node of !air.kernel
};

/// Refuses what is not a compute function or not valid IR. Prints nothing.
Result<Loaded> load(const FunctionRecord& record, llvm::LLVMContext& context);

/// "function 'name': what"
Error refusal(const FunctionRecord& record, const std::string& what);

}  // namespace mfa::air
