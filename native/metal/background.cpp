// SPDX-License-Identifier: MIT
// Tasks -> a few threads that end when they have been idle for a while.
#include "metal/background.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "base/activity.h"
#include "exec/dispatch.h"

namespace mfa::metal {
namespace {

class Crew {
 public:
  explicit Crew(unsigned most) : most_(most) {}

  void add(std::function<void()> task) {
    {
      std::unique_lock lock(mutex_);
      if (process_ != getpid()) {  // a forked child inherits the numbers, not the threads
        process_ = getpid();
        threads_ = idle_ = 0;
      }
      if (idle_ <= tasks_.size() && threads_ < most_ && start_thread([this] { work(); })) {
        ++threads_;
      }
      if (threads_ > 0) {
        tasks_.push_back(std::move(task));
        added_.notify_one();
        return;
      }
    }
    task();
  }

 private:
  void work() {
    constexpr auto patience = std::chrono::seconds(5);
    std::unique_lock lock(mutex_);
    for (;;) {
      ++idle_;
      const bool found = added_.wait_for(lock, patience, [&] { return !tasks_.empty(); });
      --idle_;
      if (!found) break;
      {
        const Activity here;
        const std::function<void()> task = std::move(tasks_.front());
        tasks_.pop_front();
        lock.unlock();
        task();
      }
      lock.lock();
    }
    --threads_;
  }

  const unsigned most_;
  std::mutex mutex_;
  std::condition_variable added_;
  std::deque<std::function<void()>> tasks_;
  unsigned threads_ = 0, idle_ = 0;
  pid_t process_ = 0;
};

}  // namespace

bool start_thread(std::function<void()> body) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // the new thread inherits it
  bool started = true;
  try {
    std::thread(std::move(body)).detach();
  } catch (const std::system_error&) {
    started = false;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return started;
}

void run_in_background(std::function<void()> task) {
  // Never destroyed: its threads may outlive main().
  static Crew* crew = new Crew(std::max(2u, exec::workers()));
  crew->add(std::move(task));
}

void run_for_listeners(std::function<void()> task) {
  static Crew* crew = new Crew(1);
  crew->add(std::move(task));
}

}  // namespace mfa::metal
