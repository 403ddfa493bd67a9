// SPDX-License-Identifier: MIT
// Device memory that steps of an operation hand on to the next.
#include "host/workspace.h"

#include <algorithm>

namespace mfa::host {

Outcome<std::shared_ptr<Buffer>> WorkspacePool::take(const std::shared_ptr<Device>& device,
                                                     uint64_t bytes) {
  std::lock_guard lock(mutex_);
  // Only this list holds it, and only under the lock can that change.
  auto idle = [](const std::shared_ptr<Buffer>& buffer) { return buffer.use_count() == 1; };
  for (const std::shared_ptr<Buffer>& buffer : buffers_)
    if (idle(buffer) && buffer->length >= bytes) return buffer;
  // All idle ones are too small: the new one replaces them.
  buffers_.erase(std::remove_if(buffers_.begin(), buffers_.end(), idle), buffers_.end());
  auto made = Buffer::make(device, bytes, Storage::private_);
  if (made.ok()) buffers_.push_back(*made);
  return made;
}

}  // namespace mfa::host
