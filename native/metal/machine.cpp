// SPDX-License-Identifier: MIT
// sysconf, the control group and /proc/cpuinfo -> numbers and names.
#include "metal/machine.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "jit/pipeline.h"

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

uint64_t cache_size() {
  // What sysconf tells for AMD's processors is the sum over parts that share nothing.
  uint64_t bytes = 0;
  for (int index = 0;; ++index) {
    const std::string path = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index);
    std::ifstream file(path + "/size");
    uint64_t kibibytes = 0;
    if (!(file >> kibibytes)) break;
    bytes = std::max(bytes, kibibytes << 10);
  }
  for (int level : {_SC_LEVEL3_CACHE_SIZE, _SC_LEVEL2_CACHE_SIZE}) {
    if (bytes == 0) bytes = static_cast<uint64_t>(std::max(sysconf(level), 0L));
  }
  return bytes;
}

/// Empty where the kernel does not tell, as on ARM.
static std::string model_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const size_t colon = line.find(": ");
    if (line.rfind("model name", 0) != 0 || colon == std::string::npos) continue;
    std::string name = line.substr(colon + 2);
    // "AMD EPYC 9575F 64-Core Processor", "Intel(R) Xeon(R) ... CPU @ 2.60GHz"
    for (const char* noise : {"(R)", "(TM)", " CPU", " Processor"}) {
      for (size_t at; (at = name.find(noise)) != std::string::npos;) {
        name.erase(at, std::string(noise).size());
      }
    }
    return name.substr(0, name.find(" @"));
  }
  return "";
}

std::string cpu_name() {
  const std::string target = jit::target_description();
  std::string model = model_name();
  if (model.empty()) model = target.substr(0, target.find(' '));
  std::string vectors;
  for (const char* feature : {"avx2", "avx512f", "neon", "sve"})
    if (jit::target_has(feature)) vectors = feature;
  if (vectors == "avx512f") vectors = "avx512";
  if (jit::target_has("avx512bf16")) vectors += ", bf16";
  return vectors.empty() ? model : model + ", " + vectors;
}

}  // namespace mfa::metal
