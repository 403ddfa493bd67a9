// SPDX-License-Identifier: MIT
// Committed submissions -> one at a time, on the worker or on a waiting thread.
#include "metal/queue.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "metal/background.h"

namespace mfa::metal {

void Queue::enqueue(std::shared_ptr<Submission> submission) {
  std::lock_guard lock(mutex_);
  order_.push_back(std::move(submission));
}

bool Queue::commit(Submission& submission, bool wake) {
  std::lock_guard lock(mutex_);
  if (!submission.mark_committed()) return false;
  if (in_flight_++ == 0) active_.emplace();
  if (wake && runner_ == std::thread::id() && ready()) start_worker();
  return true;
}

void Queue::abandon(Submission& submission) {
  std::lock_guard lock(mutex_);
  const auto place = std::find_if(order_.begin(), order_.end(),
                                  [&](const auto& entry) { return entry.get() == &submission; });
  if (place != order_.end()) order_.erase(place);
  if (closed_) posted_.notify_all();
  if (runner_ == std::thread::id() && ready()) start_worker();
}

bool Queue::ready() const {
  return !order_.empty() && order_.front()->status() >= Status::committed;
}

void Queue::drain(std::unique_lock<std::mutex>& lock, const Submission* until) {
  // A completion handler may wait for a later submission, and get here while it is the runner.
  const std::thread::id previous = runner_;
  runner_ = std::this_thread::get_id();
  while (ready() && !(until && until->concluded_)) {
    std::shared_ptr<Submission> next = std::move(order_.front());
    order_.pop_front();
    const Submission* running = next.get();
    running_.push_back(running);
    lock.unlock();
    next->run();
    next->conclude();
    next.reset();  // may end the life of objects that take the lock
    lock.lock();
    running_.erase(std::find(running_.begin(), running_.end(), running));
    if (--in_flight_ == 0) active_.reset();
    changed_.notify_all();
  }
  runner_ = previous;
  if (closed_) posted_.notify_all();
  if (runner_ == std::thread::id() && ready()) start_worker();
}

bool Queue::help(const Submission& submission) {
  std::unique_lock lock(mutex_);
  const bool inside = runner_ == std::this_thread::get_id();
  if (inside && submission.status() >= Status::completed) return false;
  if (inside || runner_ == std::thread::id()) drain(lock, &submission);
  return true;
}

void Queue::settle(const Submission& submission) {
  std::unique_lock lock(mutex_);
  if (runner_ == std::this_thread::get_id()) return;
  changed_.wait(lock, [&] {
    return std::find(running_.begin(), running_.end(), &submission) == running_.end();
  });
}

void Queue::wait_for_room() {
  std::unique_lock lock(mutex_);
  while (in_flight_ >= capacity_) {
    if (runner_ == std::this_thread::get_id()) return;  // a handler must not wait for itself
    if (runner_ == std::thread::id() && ready()) {
      const std::shared_ptr<Submission> oldest = order_.front();
      drain(lock, oldest.get());
    } else {
      changed_.wait(lock);
    }
  }
}

void Queue::close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  posted_.notify_all();
}

void Queue::start_worker() {
  if (worker_process_ == getpid()) {
    posted_.notify_one();
    return;
  }
  // Without a worker, whoever waits for the submission runs it.
  if (start_thread([self = shared_from_this()] { self->work(); })) worker_process_ = getpid();
}

void Queue::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    posted_.wait(lock, [&] {
      return (runner_ == std::thread::id() && ready()) || (closed_ && order_.empty());
    });
    if (closed_ && order_.empty()) return;
    drain(lock, nullptr);
  }
}

}  // namespace mfa::metal
