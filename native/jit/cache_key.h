// SPDX-License-Identifier: MIT
// All that a pipeline variant's code, or a metallib, depends on -> the name of its cache entry.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "air/specialize.h"
#include "exec/code.h"
#include "jit/pipeline.h"

namespace mfa::jit {

using CacheKey = std::array<uint8_t, 32>;

/// Nothing if there is no telling which compiler this process is, or which CPU it compiles for.
std::optional<CacheKey> cache_key(const air::FunctionRecord& record,
                                  const air::ConstantValues& values,
                                  const air::LinkedFunctions& linked, Path path, exec::Shape shape);

/// Of the metallib that the compiler in that file makes of this source. Nothing if it is not there.
std::optional<CacheKey> source_key(const std::string& compiler,
                                   const std::vector<std::string>& arguments,
                                   const std::string& source);

/// What changes whenever the file changes that this code was loaded from: its build id, or its
/// name, size and time. Empty if neither is known.
const std::string& build_identity();

}  // namespace mfa::jit
