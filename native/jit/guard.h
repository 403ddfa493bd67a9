// SPDX-License-Identifier: MIT
// An LLVM function that would end the process -> an error message.
#pragma once

#include <optional>
#include <string>

#include "llvm/ADT/STLFunctionalExtras.h"

namespace mfa::jit {

/// Runs `body`. If LLVM reports a fatal error meanwhile, returns its message; what `body` held at
/// that point is abandoned, never destroyed: LLVM's data may be half-changed.
std::optional<std::string> run_guarded(llvm::function_ref<void()> body);

}  // namespace mfa::jit
