// SPDX-License-Identifier: MIT
// Bytes that are shuffled, widened, shifted and masked -> one shuffle, shifted and masked.
#pragma once

#include "llvm/IR/Function.h"

namespace mfa::simd {

/// Packed numbers begin as a shuffle of bytes, which to widen takes several steps more. Where only
/// bits of the byte count, a shuffle that repeats it four times does the same at once.
void shuffle_bit_fields(llvm::Function& f);

}  // namespace mfa::simd
