// SPDX-License-Identifier: MIT
// What an encoder has bound, and whether a kernel can be dispatched with it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/result.h"
#include "metal/kernel.h"

namespace mfa::metal {

struct Bindings {
  struct Buffer {
    unsigned char* data = nullptr;  // null: nothing bound
    size_t length = 0, offset = 0;
    const Kernel* functions = nullptr;  // a function table: whose functions it holds

    unsigned char* address() const { return data + offset; }
  };

  Buffer buffers[MFA_MAX_BUFFERS];
  size_t threadgroup_lengths[MFA_MAX_BUFFERS] = {};
};

/// Sizes as the caller gave them, before anything is known to fit 32 bits.
struct Grid {
  uint64_t size[3];   // threadgroups, or threads if `threads` is set
  uint64_t group[3];  // threads per threadgroup
  bool threads = false;

  bool empty() const { return size[0] == 0 || size[1] == 0 || size[2] == 0; }
};

/// Fails with a message that names the kernel, the argument, its slot and what was expected.
Result<void> check_bindings(const Kernel& kernel, const Bindings& bindings);
Result<void> check_grid(const Kernel& kernel, const Grid& grid);

/// Places threadgroup memory behind the static globals. Call after check_bindings.
uint32_t place_threadgroup_memory(const Kernel& kernel, const Bindings& bindings,
                                  uint32_t offsets[MFA_MAX_BUFFERS]);

}  // namespace mfa::metal
