// SPDX-License-Identifier: MIT
// Every elementary function in one translation unit, because they use one another.
// clang-format off
#include "exp.c"
#include "log.c"
#include "trig.c"
#include "inverse.c"
#include "hyperbolic.c"
#include "power.c"
#include "parts.c"
