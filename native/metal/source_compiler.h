// SPDX-License-Identifier: MIT
// Metal source -> metallib, by the mfa-metalc program.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace mfa::metal {

struct SourceOptions {
  std::vector<std::string> macros;  // NAME or NAME=VALUE
  std::string standard;             // "metal3.1", or empty for the compiler's default
  bool fast_math = true;
};

struct CompiledSource {
  std::vector<uint8_t> metallib;  // empty: the source has errors
  std::string diagnostics;
};

/// Fails only if the compiler cannot be run; what it finds in the source is in the diagnostics.
Result<CompiledSource> compile_source(const std::string& source, const SourceOptions& options);

}  // namespace mfa::metal
