// SPDX-License-Identifier: MIT
// One command buffer on its way: recorded, committed, run, ended.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "metal/commands.h"

namespace mfa::metal {

class Queue;

/// The numbers of MTLCommandBufferStatus and MTLCommandBufferError.
enum class Status : uint8_t { not_enqueued, enqueued, committed, scheduled, completed, error };
enum class Fault : uint8_t { none = 0, internal = 1, invalid_resource = 9 };

struct Times {
  double kernel_start = 0, kernel_end = 0;  // preparing
  double start = 0, end = 0;                // running
};

class Submission : public std::enable_shared_from_this<Submission> {
 public:
  using Handler = std::function<void()>;

  explicit Submission(std::shared_ptr<Queue> queue);

  /// What encoders write to, until commit().
  Commands& commands() { return commands_; }
  /// The first failure stays. Has no effect after commit().
  void fail(Fault fault, std::string message);
  bool failed() const { return failed_.load(std::memory_order_acquire); }
  bool open() const { return status() < Status::committed; }

  void enqueue();
  /// True for the first call. The work starts as soon as it is this one's turn.
  bool commit();
  /// commit() and wait_until_completed(), on this thread if it is free to: nobody is woken.
  void run_to_end();
  /// Never to be committed: gives up the place that enqueue() took.
  void abandon();

  /// Run once in the order they were added, or at once if it is too late to wait for the event.
  void on_scheduled(Handler handler);
  void on_completed(Handler handler);
  /// `completed`: after the handlers. May run the work on this thread if it has not begun.
  void wait_until_scheduled();
  void wait_until_completed();

  Status status() const { return status_.load(std::memory_order_acquire); }
  Fault fault() const;
  std::string message() const;
  Times times() const;

 private:
  friend class Queue;

  bool mark_committed();  // by the queue; false if it is not enqueued
  void run();             // the commands; by the queue, when it is this one's turn
  void conclude();        // handlers and waiters; by the queue, after run()
  void call(std::vector<Handler>& handlers);

  std::shared_ptr<Queue> queue_;
  Commands commands_;
  std::atomic<Status> status_{Status::not_enqueued};
  std::atomic<bool> failed_{false}, concluded_{false};
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Fault fault_ = Fault::none;
  std::string message_;
  Times times_;
  std::vector<Handler> scheduled_, completed_;
};

}  // namespace mfa::metal
