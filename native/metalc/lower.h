// SPDX-License-Identifier: MIT
// The front end's module in; inlined and optimised AIR for all kernels at once out.
#pragma once

#include "metalc/unit.h"

namespace mfa::metalc {

/// Afterwards `unit.module` has one external definition per kernel, under the kernel's final name
/// and with AIR's parameters. False: an error was printed.
bool lower(Unit& unit);

}  // namespace mfa::metalc
