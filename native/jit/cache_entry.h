// SPDX-License-Identifier: MIT
// A compiled kernel, or a metallib <-> the bytes of one cache entry.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "jit/cache_key.h"
#include "jit/compile.h"

namespace mfa::jit {

/// The entry ends with the digest of what comes before.
std::vector<uint8_t> write_entry(const CacheKey& key, const CompiledObject& object);

/// Nothing unless every byte is as `write_entry` wrote it, for this key.
std::optional<CompiledObject> read_entry(const CacheKey& key, const uint8_t* data, size_t size);

/// The same for what was compiled from Metal source.
std::vector<uint8_t> write_metallib_entry(const CacheKey& key,
                                          const std::vector<uint8_t>& metallib);
std::optional<std::vector<uint8_t>> read_metallib_entry(const CacheKey& key, const uint8_t* data,
                                                        size_t size);

}  // namespace mfa::jit
