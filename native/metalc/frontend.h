// SPDX-License-Identifier: MIT
// MSL source in; an unoptimised LLVM module and the description of its kernels out.
#pragma once

#include <optional>
#include <string>

#include "metalc/options.h"
#include "metalc/unit.h"

namespace mfa::metalc {

/// Prints diagnostics on stderr. No value: the source had errors.
std::optional<Unit> parse(const Options& options, const std::string& input);

}  // namespace mfa::metalc
