// SPDX-License-Identifier: MIT
// Signals -> waiters and listeners.
#include "metal/event.h"

#include <utility>

namespace mfa::metal {

uint64_t Event::value() const {
  std::lock_guard lock(mutex_);
  return value_;
}

void Event::signal(uint64_t value) {
  std::vector<Listener> due;
  {
    std::lock_guard lock(mutex_);
    value_ = value;
    std::vector<Pending> later;
    for (Pending& pending : pending_) {
      if (pending.value <= value) {
        due.push_back(std::move(pending.call));
      } else {
        later.push_back(std::move(pending));
      }
    }
    pending_ = std::move(later);
  }
  changed_.notify_all();
  for (Listener& call : due) call(value);
}

bool Event::wait(uint64_t value, std::optional<std::chrono::milliseconds> timeout) {
  std::unique_lock lock(mutex_);
  const auto reached = [&] { return value_ >= value; };
  if (!timeout) {
    changed_.wait(lock, reached);
    return true;
  }
  // Far-away deadlines overflow the clock: a year is as good as for ever.
  constexpr std::chrono::milliseconds longest = std::chrono::hours(24 * 365);
  return changed_.wait_for(lock, std::min(*timeout, longest), reached);
}

void Event::notify(uint64_t value, Listener listener) {
  uint64_t now;
  {
    std::lock_guard lock(mutex_);
    if (value_ < value) {
      pending_.push_back({value, std::move(listener)});
      return;
    }
    now = value_;
  }
  listener(now);
}

}  // namespace mfa::metal
