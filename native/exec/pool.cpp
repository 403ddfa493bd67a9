// SPDX-License-Identifier: MIT
// Threads that help a caller with its loop. Knows nothing of kernels.
#include "exec/pool.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <new>
#include <system_error>
#include <thread>

#include "exec/cpus.h"

namespace mfa::exec {
namespace {

using Clock = std::chrono::steady_clock;

// As long as a thread spins before it sleeps. Waking one costs the next loop some 20 microseconds
// and finds the thread on a CPU that has slept too, so that the time between two calls, and what
// two threads end apart, should pass awake.
constexpr std::chrono::microseconds spin_time{200};

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

template <class Condition>
bool spin(Condition condition) {
  auto end = Clock::now() + spin_time;
  do {
    for (int i = 0; i < 32; ++i) {
      if (condition()) return true;
      pause();
    }
  } while (Clock::now() < end);
  return false;
}

std::atomic<Pool*> current{nullptr};
std::mutex creation;

}  // namespace

Pool& Pool::instance() {
  if (Pool* pool = current.load(std::memory_order_acquire)) return *pool;
  std::lock_guard<std::mutex> lock(creation);
  if (!current.load(std::memory_order_acquire)) {
    // A forked child has none of the threads: it starts with a pool of its own.
    static const int registered = pthread_atfork(nullptr, nullptr, [] { current = nullptr; });
    (void)registered;
    // Never destroyed: helpers may run until the process ends.
    current.store(new Pool, std::memory_order_release);
  }
  return *current;
}

Pool::Pool() : workers_(available_cpus()) {}

void Pool::start_helpers() {
  started_ = true;
  // Signals belong to the threads of the program.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  for (unsigned i = 1; i < workers_; ++i) {
    try {
      std::thread([this] { help(); }).detach();
    } catch (const std::system_error&) {
      break;  // fewer helpers; the caller alone is enough
    }
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Pool::publish(Job& job, unsigned helpers) {
  if (helpers == 0) return;
  std::unique_lock<std::mutex> lock(mutex_);
  if (!started_) start_helpers();
  job.wanted_ = helpers;
  job.cpu_ = caller_cpu_ = this_cpu();
  job.next_ = nullptr;
  (last_ ? last_->next_ : first_) = &job;
  last_ = &job;
  listed_.fetch_add(1, std::memory_order_release);
  unsigned wake = std::min(sleepers_, helpers);
  lock.unlock();
  for (; wake > 0; --wake) posted_.notify_one();
}

void Pool::unlist(Job& job) {
  Job** link = &first_;
  Job* previous = nullptr;
  while (*link != &job) {
    previous = *link;
    link = &previous->next_;
  }
  *link = job.next_;
  if (last_ == &job) last_ = previous;
  job.wanted_ = 0;
  listed_.fetch_sub(1, std::memory_order_relaxed);
}

void Pool::retire(Job& job) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (job.wanted_ > 0) unlist(job);
  }
  // A helper's last touch of the job is the decrement, so the job may die right after.
  auto left = [&] { return job.helpers_.load(std::memory_order_acquire) == 0; };
  if (spin(left)) return;
  std::unique_lock<std::mutex> lock(mutex_);
  ++waiters_;
  finished_.wait(lock, left);
  --waiters_;
}

Job* Pool::next_job(std::unique_lock<std::mutex>& lock) {
  while (!first_) {
    lock.unlock();
    bool seen = spin([&] { return listed_.load(std::memory_order_acquire) > 0; });
    lock.lock();
    if (seen || first_) continue;
    ++sleepers_;
    posted_.wait(lock);
    --sleepers_;
    int caller = caller_cpu_;
    if (caller < 0 || caller != this_cpu()) continue;
    lock.unlock();
    leave_cpu(caller);
    lock.lock();
  }
  return first_;
}

void Pool::help() {
  Arena arena;
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    Job* job = next_job(lock);
    job->helpers_.fetch_add(1, std::memory_order_relaxed);
    if (job->wanted_ == 1)
      unlist(*job);
    else
      --job->wanted_;
    int taken = job->cpu_;
    lock.unlock();
    if (taken >= 0 && taken == this_cpu()) leave_cpu(taken);
    job->work(arena);
    lock.lock();
    bool last = job->helpers_.fetch_sub(1, std::memory_order_release) == 1;
    if (last && waiters_ > 0) finished_.notify_all();
  }
}

std::unique_ptr<Arena> Pool::take_arena() {
  if (Arena* latest = latest_.exchange(nullptr, std::memory_order_acquire))
    return std::unique_ptr<Arena>(latest);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<Arena> arena = std::move(idle_.back());
      idle_.pop_back();
      return arena;
    }
  }
  return std::unique_ptr<Arena>(new (std::nothrow) Arena);
}

void Pool::return_arena(std::unique_ptr<Arena> arena) {
  arena.reset(latest_.exchange(arena.release(), std::memory_order_acq_rel));
  if (!arena) return;
  std::lock_guard<std::mutex> lock(mutex_);
  idle_.push_back(std::move(arena));
}

}  // namespace mfa::exec
