// SPDX-License-Identifier: MIT
// Bitcode of a stranger -> whether LLVM can read it, found out in another process.
#include "metal/bitcode_check.h"

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <set>

#include "metal/metalc_process.h"

namespace mfa::metal {
namespace {

bool wanted() {
  static const bool is = [] {
    const char* value = getenv("MFA_CHECK_BITCODE");
    return value && *value && strcmp(value, "0") != 0;
  }();
  return is;
}

}  // namespace

Result<void> check_bitcode(const air::FunctionRecord& record) {
  static std::mutex mutex;
  static auto* const good = new std::set<std::array<uint8_t, 32>>;  // hashes; never destroyed
  if (!wanted()) return {};
  {
    std::lock_guard<std::mutex> lock(mutex);
    if (good->count(record.hash)) return {};
  }
  auto run = run_metalc({"--check-bitcode"}, record.bitcode.data(), record.bitcode.size());
  if (!run) return run.take_error();
  const std::string name = "function '" + record.name + "': its bitcode ";
  if (run->signal) {
    return Error{name + "is damaged: a process that read it was ended by signal " +
                 std::to_string(run->signal)};
  }
  if (run->exit_status != 0) return Error{name + "cannot be read: " + run->diagnostics};
  std::lock_guard<std::mutex> lock(mutex);
  good->insert(record.hash);
  return {};
}

}  // namespace mfa::metal
