// SPDX-License-Identifier: MIT
// The functions generated code may call.
#pragma once

#include <string_view>

namespace mfa::jit {

/// The address of `name`, null if generated code may not call it.
void* find_symbol(std::string_view name);

}  // namespace mfa::jit
