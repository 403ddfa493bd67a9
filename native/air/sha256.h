// SPDX-License-Identifier: MIT
// Bytes -> their SHA-256 digest.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace mfa::air {

std::array<uint8_t, 32> sha256(const uint8_t* data, size_t size);

}  // namespace mfa::air
