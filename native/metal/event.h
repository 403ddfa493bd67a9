// SPDX-License-Identifier: MIT
// A counter that command buffers and threads wait for.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

namespace mfa::metal {

class Event {
 public:
  using Listener = std::function<void(uint64_t value)>;

  uint64_t value() const;
  /// Wakes every waiter and calls every listener whose value is reached.
  void signal(uint64_t value);
  /// False if the time is over first. Without a timeout: waits for ever.
  bool wait(uint64_t value, std::optional<std::chrono::milliseconds> timeout = {});
  /// Calls `listener` once, as soon as the value is reached; at once if it is already.
  void notify(uint64_t value, Listener listener);

 private:
  struct Pending {
    uint64_t value;
    Listener call;
  };

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t value_ = 0;
  std::vector<Pending> pending_;
};

}  // namespace mfa::metal
