// SPDX-License-Identifier: MIT
// How many CPUs this process may use, and which one a thread is on.
#pragma once

namespace mfa::exec {

/// MFA_THREADS if set to a number from 1 to 1024; else the CPUs of the affinity mask, at most as
/// many as the quotas of the process's control groups are worth. At least 1.
unsigned available_cpus();

/// The CPU that the calling thread is on; -1 where that is not known.
int this_cpu();

/// Moves the calling thread to another CPU of its affinity mask, which stays as it is. Schedulers
/// that wake a helper where its caller runs may leave both there for long, with a CPU idle.
void leave_cpu(int cpu);

}  // namespace mfa::exec
