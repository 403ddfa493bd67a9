// SPDX-License-Identifier: MIT
// Calls of air.atomic.* -> LLVM's atomic instructions.
#pragma once

#include "llvm/IR/Instructions.h"
#include "simd/intrinsic.h"

namespace mfa::jit {

/// Replaces `call`, which `operation` describes. Sequentially consistent orders would be harmless
/// but slow; relaxed is all that MSL offers before 4.1.
void lower_atomic(llvm::CallInst& call, const simd::Intrinsic& operation);

}  // namespace mfa::jit
