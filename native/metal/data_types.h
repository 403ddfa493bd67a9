// SPDX-License-Identifier: MIT
// MTLDataType numbers <-> the names MSL has for them, and their sizes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace mfa::metal {

/// "uint4" and the like; "type 123" for a number that no scalar or vector has.
std::string data_type_name(uint64_t type);
/// 0 if the name is not that of a scalar or vector.
uint64_t data_type_of(std::string_view name);
/// Bytes of a value as MSL lays it out (three-vectors take four elements); 0 if unknown.
size_t data_type_size(uint64_t type);

}  // namespace mfa::metal
