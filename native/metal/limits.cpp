// SPDX-License-Identifier: MIT
// sysconf and the control group -> bytes.
#include "metal/limits.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace mfa::metal {

uint64_t memory_size() {
  const auto pages = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES));
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  uint64_t bytes = pages * page;
  uint64_t limit = 0;
  // Holds "max" where there is no limit, and then nothing is read.
  if (std::ifstream("/sys/fs/cgroup/memory.max") >> limit && limit > 0) {
    bytes = std::min(bytes, limit);
  }
  return bytes;
}

}  // namespace mfa::metal
