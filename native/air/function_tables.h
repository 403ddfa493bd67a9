// SPDX-License-Identifier: MIT
// Calls through visible function tables -> a choice among the functions linked to the kernel.
//
// A table holds a 32-bit number for each of its entries: n + 1 stands for the n-th linked function,
// 0 for none. All functions become part of the kernel.
#pragma once

#include "air/load.h"
#include "air/specialize.h"

namespace mfa::air {

/// Adds the functions to the kernel's module. Refuses those that are not visible functions.
Result<void> link_visible(llvm::Module& module, const LinkedFunctions& linked);

/// After link_visible: replaces look-ups in tables, and calls of what they give.
void lower_function_tables(llvm::Module& module, const LinkedFunctions& linked);

}  // namespace mfa::air
