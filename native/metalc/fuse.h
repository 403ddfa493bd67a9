// SPDX-License-Identifier: MIT
// Contracts vector products and sums, as clang does for scalars within an expression.
#pragma once

#include "llvm/IR/Function.h"

namespace mfa::metalc {

/// a * b + c where both carry `contract` becomes llvm.fmuladd; then the flag goes, or, with fast
/// math, comes to all instructions.
void fuse_products(llvm::Function& function, bool fast_math);

}  // namespace mfa::metalc
