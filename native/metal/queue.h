// SPDX-License-Identifier: MIT
// Runs submissions one after the other, in the order they were enqueued.
//
// A worker thread does it, or a thread that waits for a submission: that saves two thread switches
// when a caller commits one small command buffer and waits for it.
#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/activity.h"
#include "metal/submission.h"

namespace mfa::metal {

class Queue : public std::enable_shared_from_this<Queue> {
 public:
  explicit Queue(size_t capacity) : capacity_(capacity) {}

  /// Takes the next place in the order.
  void enqueue(std::shared_ptr<Submission> submission);
  /// The submission's commands are final: somebody may run it. False if it is not waiting for that.
  /// Not `wake`: the caller is about to wait for it, so the worker sleeps on.
  bool commit(Submission& submission, bool wake = true);
  /// Gives up the place of a submission that will never be committed.
  void abandon(Submission& submission);
  /// Runs what may run until `submission` has concluded or somebody else is running it. False if
  /// this is called by one of the submission's own handlers: waiting would never end.
  bool help(const Submission& submission);
  /// Waits until the thread that ran the submission has put it aside: it holds no lock for it, and
  /// the process can be forked.
  void settle(const Submission& submission);
  /// Waits, or works, while as many submissions as the queue holds are committed and not concluded.
  void wait_for_room();
  /// No more submissions: the worker ends when the last one has.
  void close();

 private:
  bool ready() const;
  void drain(std::unique_lock<std::mutex>& lock, const Submission* until);
  void work();
  void start_worker();

  const size_t capacity_;
  std::mutex mutex_;
  std::condition_variable posted_;   // the worker waits for what it may run,
  std::condition_variable changed_;  // others for submissions to end: who waits is woken
  std::deque<std::shared_ptr<Submission>> order_;
  std::vector<const Submission*> running_;  // more than one where a handler waits for a later one
  size_t in_flight_ = 0;
  std::optional<Activity> active_;  // while anything is in flight
  std::thread::id runner_;          // none: nobody runs submissions now
  pid_t worker_process_ = 0;        // a forked child has no worker
  bool closed_ = false;
};

}  // namespace mfa::metal
