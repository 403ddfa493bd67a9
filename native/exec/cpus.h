// SPDX-License-Identifier: MIT
// How many CPUs this process may use.
#pragma once

namespace mfa::exec {

/// MFA_THREADS if set to a number from 1 to 1024; else the CPUs of the affinity mask, at most as
/// many as the quotas of the process's control groups are worth. At least 1.
unsigned available_cpus();

}  // namespace mfa::exec
