// SPDX-License-Identifier: MIT
// Arguments and bytes -> what the mfa-metalc program makes of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace mfa::metal {

struct MetalcRun {
  std::string path;  // of the program
  int signal = 0;    // that ended it; 0 if it ended by itself
  int exit_status = 0;
  std::vector<uint8_t> output;
  std::string diagnostics;
};

/// Where the program is: MFA_METALC, else beside the library, else where it was installed.
Result<std::string> metalc_path();

/// Runs it with `input` on its standard input. Fails only if it cannot be run.
Result<MetalcRun> run_metalc(std::vector<std::string> arguments, const void* input, size_t bytes);

}  // namespace mfa::metal
