// SPDX-License-Identifier: MIT
// Runs the threadgroups of the reference path: one fiber per thread, meeting at sites.
#pragma once

#include "exec/arena.h"
#include "exec/code.h"

namespace mfa::exec {

/// Reserves what a group of `threads` needs. False if there is no memory.
bool reserve_lanes(Arena& arena, const Code& code, uint32_t threads);

/// Runs one threadgroup to its end, with memory that reserve_lanes has set aside. Uses
/// `group.runner`.
void run_lanes(Arena& arena, const Code& code, mfa_group& group);

}  // namespace mfa::exec
