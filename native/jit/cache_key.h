// SPDX-License-Identifier: MIT
// All that the code of a pipeline variant depends on -> the name of its cache entry.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "air/specialize.h"
#include "exec/code.h"
#include "jit/pipeline.h"

namespace mfa::jit {

using CacheKey = std::array<uint8_t, 32>;

/// Nothing if there is no telling which compiler this process is, or which CPU it compiles for.
std::optional<CacheKey> cache_key(const air::FunctionRecord& record,
                                  const air::ConstantValues& values,
                                  const air::LinkedFunctions& linked, Path path, exec::Shape shape);

/// What changes whenever the file changes that this code was loaded from: its build id, or its
/// name, size and time. Empty if neither is known.
const std::string& build_identity();

}  // namespace mfa::jit
