// SPDX-License-Identifier: MIT
// One compute dispatch -> threadgroups -> worker threads.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/trace.h"
#include "exec/abi.h"
#include "exec/code.h"
#include "exec/validation.h"

namespace mfa::exec {

/// What a trace tells of a thread's part in a dispatch.
struct Traced {
  std::string name;
  trace::Arguments arguments;
};

struct Dispatch {
  mfa_launch launch{};  // `buffers` and the grid; offsets of threadgroup memory filled in
  uint32_t threadgroup_bytes = 0;  // static globals plus arguments
  bool uniform = true;  // dispatchThreadgroups: every group has threads_per_group threads
  Validation* validation = nullptr;  // of code that was compiled with checks
  const Traced* traced = nullptr;    // null: no trace
};

/// dispatchThreadgroups: every group has `group_size` threads. Fills in the launch's sizes.
void set_threadgroups(Dispatch& dispatch, const uint32_t groups[3], const uint32_t group_size[3]);
/// dispatchThreads: groups at the far edges are smaller. `group_size` must not contain 0.
void set_threads(Dispatch& dispatch, const uint32_t threads[3], const uint32_t group_size[3]);

/// Lays out threadgroup memory: `static_bytes` of globals, then the arguments by slot, each aligned
/// to 16. `bytes[slot]` is the length set for the slot, 0 if none. Fills in
/// launch.threadgroup_offsets and threadgroup_bytes.
void set_threadgroup_memory(Dispatch& dispatch, uint32_t static_bytes,
                            const uint32_t bytes[MFA_MAX_BUFFERS]);

/// Which variants the groups of this grid need: interior and edge groups can differ.
struct Shapes {
  bool linear = false, general = false;
};
Shapes shapes(const Dispatch& dispatch);

struct Arena;

/// Working memory of a thread that runs dispatches one after the other.
class Caller {
 public:
  Caller() = default;
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;
  ~Caller();
  /// Null if there is no memory.
  Arena* arena();

 private:
  Arena* arena_ = nullptr;
};

/// Runs every threadgroup and returns when all have ended; an error if a check has found something.
/// `needed` is shapes(dispatch), and code that it does not name may be null. May be called from
/// several threads at once, each with a caller of its own.
Result<void> run(const Dispatch& dispatch, Shapes needed, const Code* linear, const Code* general,
                 Caller& caller);

/// One of several dispatches that may run at the same time, with what run() takes and, afterwards,
/// how it ended.
struct Work {
  Dispatch dispatch;
  Shapes needed;
  const Code *linear = nullptr, *general = nullptr;
  Result<void> result = {};
};
/// Runs them all and returns when all have ended.
void run_together(std::vector<Work>& works, Caller& caller);

/// Number of worker threads (MFA_THREADS, else the CPUs this process may use).
unsigned workers();

}  // namespace mfa::exec
