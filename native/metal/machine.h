// SPDX-License-Identifier: MIT
// The machine, as a device describes itself.
#pragma once

#include <cstdint>
#include <string>

namespace mfa::metal {

/// The machine's memory, or what the process's control group leaves of it.
uint64_t memory_size();

/// Bytes of the last-level cache; 0 where the system does not tell.
uint64_t cache_size();

/// The processor and the widest vectors code is generated for: "AMD EPYC 9575F, avx512".
std::string cpu_name();

}  // namespace mfa::metal
