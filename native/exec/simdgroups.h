// SPDX-License-Identifier: MIT
// Runs the threadgroups of the vector path: one call per simdgroup, switched at barriers.
#pragma once

#include "exec/arena.h"
#include "exec/code.h"

namespace mfa::exec {

/// Reserves what a group of `simdgroups` needs. False if there is no memory.
bool reserve_simdgroups(Arena& arena, const Code& code, uint32_t simdgroups);

/// Runs one threadgroup to its end, with memory that reserve_simdgroups has set aside. Uses
/// `group.runner`.
void run_simdgroups(Arena& arena, const Code& code, mfa_group& group);

}  // namespace mfa::exec
