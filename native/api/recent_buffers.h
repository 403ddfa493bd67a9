// SPDX-License-Identifier: MIT
// Buffers that a command buffer's operations used lately -> the next operation's.
//
// The table of all handles takes a lock that every thread wants, and each reference to what it
// holds is counted: together as much as the rest of checking a small operation.
#pragma once

#include <cstdint>
#include <memory>

#include "host/buffer.h"
#include "host/status.h"
#include "mfa.h"

namespace mfa::api {

/// Not for several threads at a time, like the commands it belongs to.
class RecentBuffers {
 public:
  /// An operation begins. Buffers are forgotten once any handle was released: it may be theirs.
  void begin();
  /// As api::use(), but `buffer` may be borrowed: from here until the next begin() or clear().
  host::Status use(mfa_buffer handle, const char* name, std::shared_ptr<host::Buffer>& buffer);
  void clear();

 private:
  struct Entry {
    mfa_buffer handle = nullptr;
    uint64_t operation = 0;  // the latest that used it
    std::shared_ptr<host::Buffer> buffer;
  };
  static constexpr unsigned count = 8;
  Entry entries_[count];
  unsigned next_ = 0;  // to be replaced
  uint64_t operation_ = 0, releases_ = 0;
};

}  // namespace mfa::api
