// SPDX-License-Identifier: MIT
// Threads that help a caller with its loop. Knows nothing of kernels.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "exec/arena.h"

namespace mfa::exec {

/// One loop that several threads share. `work` returns when nothing is left to claim.
class Job {
 public:
  virtual void work(Arena& arena) = 0;

 protected:
  ~Job() = default;

 private:
  friend class Pool;
  Job* next_ = nullptr;
  unsigned wanted_ = 0;               // helpers still to come; > 0 while listed
  int cpu_ = -1;                      // that the caller was on
  std::atomic<unsigned> helpers_{0};  // helpers inside work()
};

/// All functions may be called from several threads; jobs of different callers share the helpers,
/// first come first served.
class Pool {
 public:
  /// The pool of this process, with workers() - 1 helpers. Helpers start at first use.
  static Pool& instance();

  /// CPUs this process may use, or MFA_THREADS.
  unsigned workers() const { return workers_; }

  /// Lets up to `helpers` threads enter job.work(). Does not wait.
  void publish(Job& job, unsigned helpers);
  /// Takes the job back and returns when all helpers have left it.
  void retire(Job& job);

  /// A caller's own working memory, one that is idle if there is any.
  std::unique_ptr<Arena> take_arena();
  void return_arena(std::unique_ptr<Arena> arena);

 private:
  Pool();
  void start_helpers();
  void help();
  Job* next_job(std::unique_lock<std::mutex>& lock);
  void unlist(Job& job);

  unsigned workers_ = 1;
  std::mutex mutex_;  // guards everything below but the atomics
  std::condition_variable posted_, finished_;
  Job *first_ = nullptr, *last_ = nullptr;
  std::atomic<unsigned> listed_{0};
  unsigned sleepers_ = 0, waiters_ = 0;
  int caller_cpu_ = -1;  // of the latest job
  bool started_ = false;
  std::atomic<Arena*> latest_{nullptr};  // idle: a caller that works alone finds it without locks
  std::vector<std::unique_ptr<Arena>> idle_;
};

}  // namespace mfa::exec
