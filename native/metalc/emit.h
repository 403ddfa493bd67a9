// SPDX-License-Identifier: MIT
// The lowered module of all kernels in; one AIR module per kernel out.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "air/metallib.h"
#include "metalc/unit.h"

namespace mfa::metalc {

struct Emitted {
  std::vector<air::FunctionDescription> functions;
  std::string text;  // the modules as LLVM assembly
};

/// Call after `lower`. No value: an error was printed.
std::optional<Emitted> emit(const Unit& unit);

}  // namespace mfa::metalc
