// SPDX-License-Identifier: MIT
// A canonical scalar kernel -> a function that runs one thread, meeting its neighbours at sites.
//
// The slow path that the vector path is tested against: it shares no code with it but the
// built-ins. Every convergent operation becomes a call of mfa_rt_meet with a number that grows
// along the control flow; the executor (exec/lanes.cpp) lets lanes that are behind run first and
// performs an operation for the lanes that have come to the same site. Further sites at the ends of
// loop bodies keep lanes of different iterations apart, and where the sides of a branch join, lanes
// that went different ways together.
#pragma once

#include <string>

#include "air/specialize.h"
#include "base/result.h"

namespace mfa::jit {

struct Reference {
  std::string symbol;  // of type mfa_thread_entry, in the same module
};

/// Replaces the kernel in `kernel.module` by the thread function. What it cannot run is refused by
/// name. `checked`: memory accesses are checked (exec/validation.h).
Result<Reference> make_reference(air::Specialized& kernel, bool checked);

}  // namespace mfa::jit
