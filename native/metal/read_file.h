// SPDX-License-Identifier: MIT
// A path -> the file's bytes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace mfa::metal {

/// The message of a failure begins with the path.
Result<std::vector<uint8_t>> read_file(const std::string& path);

}  // namespace mfa::metal
