// SPDX-License-Identifier: MIT
// A lock for a few instructions: half the price of a mutex when nobody else wants it.
#pragma once

#include <sched.h>

#include <atomic>

namespace mfa {

/// Whoever waits does not sleep, so nothing that may block or call back belongs under it.
class LightLock {
 public:
  void lock() {
    while (held_.exchange(true, std::memory_order_acquire)) wait();
  }
  void unlock() { held_.store(false, std::memory_order_release); }

 private:
  void wait() const {
    // The holder is done within nanoseconds unless it lost its CPU, which it then needs back.
    for (int tries = 0; held_.load(std::memory_order_relaxed); ++tries)
      if (tries >= 100) sched_yield();
  }

  std::atomic<bool> held_{false};
};

}  // namespace mfa
