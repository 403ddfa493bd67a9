// SPDX-License-Identifier: MIT
// A queue of functions -> one thread, started when the first one comes.
#include "host/callbacks.h"

#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace mfa::host {
namespace {

thread_local bool inside = false;

class Caller {
 public:
  void add(std::function<void()> function) {
    {
      std::lock_guard lock(mutex_);
      if (started_ || start()) {
        waiting_.push_back(std::move(function));
        added_.notify_one();
        return;
      }
    }
    function();  // no memory for a thread: at once, then
  }

 private:
  bool start() {
    // Signals belong to the threads of the program.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      std::thread([this] { work(); }).detach();
      started_ = true;
    } catch (const std::system_error&) {
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return started_;
  }

  void work() {
    inside = true;
    std::unique_lock lock(mutex_);
    for (;;) {
      added_.wait(lock, [this] { return !waiting_.empty(); });
      std::function<void()> next = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      next();
      next = nullptr;  // what it held may take locks on its way
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable added_;
  std::deque<std::function<void()>> waiting_;
  bool started_ = false;
};

std::atomic<Caller*> current{nullptr};
std::mutex creation;

Caller& caller() {
  if (Caller* found = current.load(std::memory_order_acquire)) return *found;
  std::lock_guard lock(creation);
  if (!current.load(std::memory_order_acquire)) {
    // A forked child has no thread: it begins with a queue of its own.
    static const int registered = pthread_atfork(nullptr, nullptr, [] { current = nullptr; });
    (void)registered;
    current.store(new Caller, std::memory_order_release);  // never destroyed, as its thread
  }
  return *current;
}

}  // namespace

void call_back(std::function<void()> function) { caller().add(std::move(function)); }

bool in_callback() { return inside; }

}  // namespace mfa::host
