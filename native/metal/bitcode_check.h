// SPDX-License-Identifier: MIT
// Bitcode of a stranger -> whether LLVM can read it, found out in another process.
#pragma once

#include "air/metallib.h"
#include "base/result.h"

namespace mfa::metal {

/// With MFA_CHECK_BITCODE=1 in the environment: fails if a child process that reads and verifies
/// the function's bitcode refuses it, crashes, or takes more than 10 seconds or 4 GiB. Remembers
/// what was good. Without it nothing is checked: docs/decisions/untrusted-bitcode.md says why.
Result<void> check_bitcode(const air::FunctionRecord& record);

}  // namespace mfa::metal
