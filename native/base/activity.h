// SPDX-License-Identifier: MIT
// Work that is under way -> whether a forked child may use the library.
//
// Only the thread that calls fork() lives on in the child. Whatever other threads had locked or
// begun stays so for ever, and the child would wait for it.
#pragma once

#include <pthread.h>

#include <atomic>

namespace mfa {

inline std::atomic<int> activities{0};
inline std::atomic<bool> forked_while_active{false};

/// As long as one exists, what this library holds may not be taken over by a forked child.
class Activity {
 public:
  Activity() {
    static const int watched = pthread_atfork(nullptr, nullptr, [] {
      if (activities.load(std::memory_order_relaxed) > 0) forked_while_active = true;
    });
    (void)watched;
    activities.fetch_add(1, std::memory_order_relaxed);
  }
  Activity(const Activity&) = delete;
  Activity& operator=(const Activity&) = delete;
  ~Activity() { activities.fetch_sub(1, std::memory_order_relaxed); }
};

}  // namespace mfa
