// SPDX-License-Identifier: MIT
// Bitcode on standard input -> an exit status.
#pragma once

namespace mfa::metalc {

/// 0 if LLVM reads it and finds it valid, else 1 with the reason on standard error. Memory and time
/// are limited; what crashes or hangs ends this process, which is what it is for.
int check_bitcode();

}  // namespace mfa::metalc
