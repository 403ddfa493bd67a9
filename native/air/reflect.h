// SPDX-License-Identifier: MIT
// The !air.kernel and !air.function_constants metadata of a module -> a Reflection.
#pragma once

#include <vector>

#include "air/load.h"
#include "air/reflection.h"

namespace llvm {
class GlobalVariable;
}

namespace mfa::air {

/// What the IR side needs beside the Reflection.
struct KernelMetadata {
  Reflection reflection;
  std::vector<llvm::GlobalVariable*> predicates;    // per argument; null without one
  std::vector<llvm::GlobalVariable*> initializers;  // per constant
};

Result<KernelMetadata> read_metadata(const Loaded& loaded, const FunctionRecord& record);

}  // namespace mfa::air
