// SPDX-License-Identifier: MIT
// Vectors that are rounded to half and stored -> rounded in registers, then stored.
#pragma once

#include "llvm/IR/Function.h"
#include "llvm/Target/TargetMachine.h"

namespace mfa::simd {

/// The code generator folds such a store into the conversion. Of vcvtps2ph with a destination in
/// memory Zen 5 finishes one in 8 cycles (16 lanes), of the two instructions apart one in 3.
void keep_half_stores_apart(llvm::Function& f, const llvm::TargetMachine& target);

}  // namespace mfa::simd
