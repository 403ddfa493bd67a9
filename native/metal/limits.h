// SPDX-License-Identifier: MIT
// How much memory the machine has for buffers.
#pragma once

#include <cstdint>

namespace mfa::metal {

/// The machine's memory, or what the process's control group leaves of it.
uint64_t memory_size();

}  // namespace mfa::metal
