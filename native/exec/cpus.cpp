// SPDX-License-Identifier: MIT
// How many CPUs this process may use, and which one a thread is on.
#include "exec/cpus.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

namespace mfa::exec {
namespace {

unsigned affinity() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return unsigned(CPU_COUNT(&set));
#endif
  return std::max(1u, std::thread::hardware_concurrency());
}

/// CPUs that "quota period" in `file` allows; infinity if there is no limit or no file.
double quota_v2(const std::string& file) {
  std::ifstream in(file);
  double quota = 0, period = 0;
  return in >> quota >> period && period > 0 ? quota / period : INFINITY;
}

/// The tightest quota of the control group and its parents (version 2 hierarchy).
double quota() {
  double limit = quota_v2("/sys/fs/cgroup/cpu.max");
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    if (line.rfind("0::/", 0) != 0) continue;
    std::string path = line.substr(3);
    while (path.size() > 1) {
      limit = std::min(limit, quota_v2("/sys/fs/cgroup" + path + "/cpu.max"));
      path.erase(path.find_last_of('/'));
    }
  }
  return limit;
}

}  // namespace

unsigned available_cpus() {
  if (const char* text = getenv("MFA_THREADS")) {
    char* end = nullptr;
    long value = strtol(text, &end, 10);
    if (end != text && *end == '\0' && value >= 1 && value <= 1024) return unsigned(value);
  }
  double cpus = std::min(double(affinity()), std::ceil(quota()));
  return std::max(1u, unsigned(cpus));
}

int this_cpu() {
#if defined(__linux__)
  return sched_getcpu();
#else
  return -1;
#endif
}

void leave_cpu(int cpu) {
#if defined(__linux__)
  cpu_set_t all, others;
  if (cpu < 0 || cpu >= CPU_SETSIZE || sched_getaffinity(0, sizeof all, &all) != 0) return;
  others = all;
  CPU_CLR(cpu, &others);
  if (CPU_COUNT(&others) > 0 && sched_setaffinity(0, sizeof others, &others) == 0)
    sched_setaffinity(0, sizeof all, &all);
#else
  (void)cpu;
#endif
}

}  // namespace mfa::exec
