// SPDX-License-Identifier: MIT
// One compute dispatch -> threadgroups -> worker threads.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "exec/abi.h"
#include "exec/code.h"

namespace mfa::exec {

struct Dispatch {
  mfa_launch launch{};              // `buffers` and the grid; offsets of threadgroup memory filled in
  uint32_t threadgroup_bytes = 0;   // static globals plus arguments
  bool uniform = true;              // dispatchThreadgroups: every group has threads_per_group threads
};

/// Which variants the groups of this grid need: interior and edge groups can differ.
struct Shapes {
  bool linear = false, general = false;
};
Shapes shapes(const Dispatch& dispatch);

/// Runs every threadgroup and returns when all have ended. `general` may be null if shapes() says
/// so. May be called from several threads at once.
Result<void> run(const Dispatch& dispatch, const Code* linear, const Code* general);

/// Number of worker threads (MFA_THREADS, else the CPUs this process may use).
unsigned workers();

}  // namespace mfa::exec
