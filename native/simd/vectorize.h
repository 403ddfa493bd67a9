// SPDX-License-Identifier: MIT
// A canonical scalar kernel (air/specialize.h) -> a function that runs 32 lanes at once.
#pragma once

#include <cstdint>
#include <string>

#include "air/specialize.h"
#include "base/result.h"
#include "exec/code.h"

namespace mfa::simd {

struct Options {
  exec::Shape shape = exec::Shape::linear;
};

struct Vectorized {
  std::string symbol;  // of type mfa_simdgroup_entry, in the same module
  uint32_t scratch_bytes = 0;
  uint32_t stack_bytes = 64 * 1024;
  bool barriers = false;
};

/// Replaces the scalar kernel in `kernel.module` by the vector program, optimised for `target`.
/// A construct it cannot run is refused by name.
Result<Vectorized> vectorize(air::Specialized& kernel, llvm::TargetMachine& target,
                             const Options& options);

}  // namespace mfa::simd
