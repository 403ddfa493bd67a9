// SPDX-License-Identifier: MIT
// The states of a command buffer.
#include "metal/submission.h"

#include <time.h>

#include <utility>

#include "metal/queue.h"

namespace mfa::metal {
namespace {

/// Seconds of the clock that Metal's times are in: since the machine started.
double now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace

Submission::Submission(std::shared_ptr<Queue> queue) : queue_(std::move(queue)) {}

void Submission::fail(Fault fault, std::string message) {
  std::lock_guard lock(mutex_);
  if (!open() || fault_ != Fault::none) return;
  fault_ = fault;
  message_ = std::move(message);
  failed_.store(true, std::memory_order_release);
}

void Submission::enqueue() {
  Status expected = Status::not_enqueued;
  if (status_.compare_exchange_strong(expected, Status::enqueued)) {
    queue_->enqueue(shared_from_this());
  }
}

bool Submission::commit() {
  enqueue();
  return queue_->commit(*this);
}

void Submission::run_to_end() {
  enqueue();
  if (queue_->commit(*this, false)) wait_until_completed();
}

bool Submission::mark_committed() {
  std::lock_guard lock(mutex_);
  if (status() != Status::enqueued) return false;
  times_.kernel_start = now();
  status_.store(Status::committed, std::memory_order_release);
  return true;
}

void Submission::abandon() {
  if (status() == Status::enqueued) queue_->abandon(*this);
}

void Submission::on_scheduled(Handler handler) {
  {
    std::lock_guard lock(mutex_);
    if (status() < Status::scheduled) {
      scheduled_.push_back(std::move(handler));
      return;
    }
  }
  handler();
}

void Submission::on_completed(Handler handler) {
  {
    std::lock_guard lock(mutex_);
    if (status() < Status::completed) {
      completed_.push_back(std::move(handler));
      return;
    }
  }
  handler();
}

void Submission::wait_until_scheduled() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return status() >= Status::scheduled; });
}

void Submission::wait_until_completed() {
  if (open()) return;  // never committed: there is nothing to wait for
  if (!concluded_) {
    if (!queue_->help(*this)) return;
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return concluded_.load(); });
  }
  queue_->settle(*this);
}

Fault Submission::fault() const {
  std::lock_guard lock(mutex_);
  return fault_;
}

std::string Submission::message() const {
  std::lock_guard lock(mutex_);
  return message_;
}

Times Submission::times() const {
  std::lock_guard lock(mutex_);
  return times_;
}

void Submission::call(std::vector<Handler>& handlers) {
  std::vector<Handler> due;
  {
    std::lock_guard lock(mutex_);
    due.swap(handlers);
  }
  for (Handler& handler : due) handler();
}

void Submission::run() {
  {
    std::lock_guard lock(mutex_);
    times_.kernel_end = now();
    status_.store(Status::scheduled, std::memory_order_release);
  }
  changed_.notify_all();
  call(scheduled_);

  const double start = now();
  auto ran = commands_.run();
  const double end = now();
  commands_.clear();

  std::lock_guard lock(mutex_);
  times_.start = start;
  times_.end = end;
  if (!ran && fault_ == Fault::none) {
    fault_ = Fault::internal;
    message_ = ran.error();
  }
  status_.store(fault_ == Fault::none ? Status::completed : Status::error,
                std::memory_order_release);
}

void Submission::conclude() {
  call(completed_);
  {
    std::lock_guard lock(mutex_);
    concluded_ = true;
  }
  changed_.notify_all();
}

}  // namespace mfa::metal
