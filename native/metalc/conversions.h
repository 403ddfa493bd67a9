// SPDX-License-Identifier: MIT
// Spells conversions between numbers as AIR does.
#pragma once

#include "llvm/IR/Function.h"

namespace mfa::metalc {

/// int <-> float, and what AIR has no instruction for, becomes `air.convert.*`.
void spell_conversions(llvm::Function& function);

}  // namespace mfa::metalc
