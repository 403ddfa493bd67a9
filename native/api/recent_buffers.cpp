// SPDX-License-Identifier: MIT
// Buffers that a command buffer's operations used lately -> the next operation's.
#include "api/recent_buffers.h"

#include "api/handles.h"

namespace mfa::api {

void RecentBuffers::begin() {
  ++operation_;
  const uint64_t now = releases();
  if (now == releases_) return;
  clear();
  releases_ = now;
}

void RecentBuffers::clear() {
  for (Entry& entry : entries_) entry = Entry();
}

Status RecentBuffers::use(mfa_buffer handle, const char* name,
                          std::shared_ptr<host::Buffer>& buffer) {
  // Without an owner: a reference that is not counted.
  const auto borrow = [&](Entry& entry) {
    entry.operation = operation_;
    buffer = std::shared_ptr<host::Buffer>(std::shared_ptr<host::Buffer>(), entry.buffer.get());
  };
  for (Entry& entry : entries_) {
    if (entry.handle != handle) continue;
    borrow(entry);
    return {};
  }
  auto found = api::use(handle, name, ".buffer");
  if (!found.ok()) return found.status();
  Entry& entry = entries_[next_];
  if (entry.operation == operation_) {  // this operation has borrowed it
    buffer = std::move(*found);
    return {};
  }
  next_ = (next_ + 1) % count;
  entry.handle = handle;
  entry.buffer = std::move(*found);
  borrow(entry);
  return {};
}

}  // namespace mfa::api
