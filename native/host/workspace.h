// SPDX-License-Identifier: MIT
// Device memory that steps of an operation hand on to the next: kept, since new pages cost more
// than what is computed in them.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "host/buffer.h"

namespace mfa::host {

class WorkspacePool {
 public:
  /// At least `bytes`, for whoever holds it alone; letting go of it gives it back.
  Outcome<std::shared_ptr<Buffer>> take(const std::shared_ptr<Device>& device, uint64_t bytes);

 private:
  std::mutex mutex_;
  std::vector<std::shared_ptr<Buffer>> buffers_;
};

}  // namespace mfa::host
