// SPDX-License-Identifier: MIT
// What the command line asks for.
#pragma once

#include <string>
#include <vector>

namespace mfa::metalc {

struct Options {
  std::vector<std::string> inputs;   // "-" is standard input
  std::vector<std::string> include;  // -I
  std::vector<std::string> defines;  // NAME or NAME=VALUE
  std::string output;
  std::string stdin_name = "program_source";
  bool fast_math = true;
  bool emit_llvm = false;
  bool colour = false;
};

}  // namespace mfa::metalc
