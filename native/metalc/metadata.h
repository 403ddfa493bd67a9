// SPDX-License-Identifier: MIT
// The named metadata that makes an LLVM module an AIR module.
#pragma once

#include <vector>

#include "llvm/IR/Module.h"
#include "metalc/unit.h"

namespace mfa::metalc {

/// `predicates`: per argument the global that says whether it exists, or null.
void write_metadata(llvm::Module& module, llvm::Function& function, const Kernel& kernel,
                    const std::vector<llvm::GlobalVariable*>& predicates, bool fast_math);

}  // namespace mfa::metalc
