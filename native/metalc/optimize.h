// SPDX-License-Identifier: MIT
// Inlines and simplifies a whole module the way Apple's compiler leaves its output.
#pragma once

#include "llvm/IR/Module.h"

namespace mfa::metalc {

/// All helpers inlined, pointers in their address spaces, loops neither unrolled nor vectorised.
void optimize(llvm::Module& module);

}  // namespace mfa::metalc
