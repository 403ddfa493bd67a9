// SPDX-License-Identifier: MIT
// Compiled kernels and metallibs <-> files that later processes find them in. docs/cache.md has the
// whole story.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "jit/cache_key.h"
#include "jit/compile.h"

namespace mfa::jit {

/// The files of all processes together stay below this many bytes.
inline constexpr uint64_t cache_limit_bytes = uint64_t(256) << 20;

/// MFA_CACHE, or a folder under the user's cache folder. Empty if there is to be no cache.
std::string cache_folder();

/// Nothing if there is no such entry, or none that can be trusted. Thread-safe, as all below.
std::optional<CompiledObject> load_cached(const CacheKey& key);

/// Replaces what is there. A failure goes unnoticed: the next process compiles once more.
void store_cached(const CacheKey& key, const CompiledObject& object);

/// The same for what was compiled from Metal source.
std::optional<std::vector<uint8_t>> load_cached_metallib(const CacheKey& key);
void store_cached_metallib(const CacheKey& key, const std::vector<uint8_t>& metallib);

/// Removes the entries of `folder` that were used longest ago, until `limit` bytes are left, and
/// what processes that were killed have left behind. Files of other names stay.
void trim_cache(const std::string& folder, uint64_t limit);

}  // namespace mfa::jit
