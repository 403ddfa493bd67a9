// SPDX-License-Identifier: MIT
// Runs the threadgroups of the reference path: one fiber per thread, meeting at sites.
#pragma once

#include "exec/arena.h"
#include "exec/code.h"
#include "exec/validation.h"

namespace mfa::exec {

/// Reserves what a group of `threads` needs. False if there is no memory. Accesses are checked if
/// `validation` is not null.
bool reserve_lanes(Arena& arena, const Code& code, uint32_t threads, const Validation* validation);

/// Runs one threadgroup to its end, with memory that reserve_lanes has set aside. Uses
/// `group.runner`.
void run_lanes(Arena& arena, const Code& code, mfa_group& group, Validation* validation);

/// For operations at a site: the address to use for an access that lane `lane` makes through
/// operand `operand` of the operation.
unsigned char* checked(const mfa_site* site, unsigned operand, unsigned lane,
                       unsigned char* address, uint64_t bytes);

}  // namespace mfa::exec
