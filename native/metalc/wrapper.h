// SPDX-License-Identifier: MIT
// Gives a kernel the parameters that AIR prescribes.
#pragma once

#include "llvm/IR/Module.h"
#include "metalc/unit.h"

namespace mfa::metalc {

/// Adds the function `kernel.name`, which calls `kernel.symbol`; null if the latter is missing.
llvm::Function* add_wrapper(llvm::Module& module, const Kernel& kernel, bool fast_math);

}  // namespace mfa::metalc
