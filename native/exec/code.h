// SPDX-License-Identifier: MIT
// A compiled kernel as the executor sees it.
#pragma once

#include <cstdint>

#include "exec/abi.h"

/// For functions that call an entry: no type signature lies before generated code for the undefined
/// behaviour sanitizer to read.
#define MFA_CALLS_GENERATED_CODE __attribute__((no_sanitize("function")))

/// For functions that go on with another stack before they return: the thread sanitizer counts
/// calls and returns, and has to see neither of these. It then takes all stacks of a thread for
/// one.
#define MFA_SWITCHES_STACKS \
  __attribute__((no_sanitize("thread"), disable_sanitizer_instrumentation))

namespace mfa::exec {

/// How thread_position_in_threadgroup follows from the thread's linear index. A pipeline is
/// compiled for `linear` first; the other form is made when a dispatch needs it.
enum class Shape : uint8_t {
  linear,   // size.x is a multiple of 32, or size.y == size.z == 1: a simdgroup never wraps in x
  general,  // anything
  whole,    // linear, and all groups are multiples of 32 threads: no lane is ever missing
};

/// The variant a threadgroup of this size needs.
inline Shape shape_of(const uint32_t size[3]) {
  bool fits = size[0] % MFA_SIMD_WIDTH == 0 || (size[1] == 1 && size[2] == 1);
  return fits ? Shape::linear : Shape::general;
}

struct Code {
  mfa_simdgroup_entry entry = nullptr;  // vector path; null on the reference path
  mfa_thread_entry thread = nullptr;    // reference path; null on the vector path
  uint32_t scratch_bytes = 0;        // per simdgroup (vector path) or per thread (reference path)
  uint32_t stack_bytes = 64 * 1024;  // machine stack one call needs at most
  bool barriers = false;             // calls mfa_rt_barrier
  bool flush_subnormals = false;     // float arithmetic takes subnormal numbers for zero
  mutable uint32_t group_nanoseconds = 0;  // what a threadgroup took last time; the executor's note
};

}  // namespace mfa::exec
