// SPDX-License-Identifier: MIT
// Stages of the compilation -> files for people, if MFA_DUMP names a folder.
#pragma once

#include <functional>
#include <string>

namespace mfa::jit {

/// Whether MFA_DUMP is set.
bool dumps();

/// Writes `text()` to <folder>/<function>.<stage>; does nothing without MFA_DUMP.
void dump(const std::string& function, const char* stage, const std::function<std::string()>& text);

}  // namespace mfa::jit
