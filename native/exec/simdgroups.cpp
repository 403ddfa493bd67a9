// SPDX-License-Identifier: MIT
// Runs the threadgroups of the vector path: one call per simdgroup, switched at barriers.
#include "exec/simdgroups.h"

namespace mfa::exec {
namespace {

constexpr uint32_t max_simdgroups = MFA_MAX_THREADS / MFA_SIMD_WIDTH;

// Threads of the pool and callers have megabytes of stack, or, as in Python's threads under musl,
// a few hundred KiB. What needs more gets a stack of its own.
constexpr uint32_t callers_stack = 64 * 1024;

/// Scratch of neighbouring simdgroups must not start at the same place of a page: their loads and
/// stores would look dependent to the CPU and fight for the same cache sets.
size_t scratch_stride(const Code& code) {
  size_t bytes = (size_t(code.scratch_bytes) + 63) / 64 * 64;
  return bytes % 4096 == 0 && bytes > 0 ? bytes + 256 : bytes;
}

bool needs_fibers(const Code& code, uint32_t simdgroups) {
  return (code.barriers && simdgroups > 1) || code.stack_bytes > callers_stack;
}

/// The simdgroups of one threadgroup take turns. In every round each live one runs from one
/// barrier to the next or to its end, so when the first runs again all the others have arrived.
struct Rounds {
  const Code& code;
  mfa_group& group;
  unsigned char* scratch;
  size_t stride;
  uint32_t live;  // mask of simdgroups that have not ended
  uint32_t current = 0;
  Fiber fibers[max_simdgroups];
  Fiber thread;

  /// The live simdgroup after `current`, in cyclic order.
  MFA_SWITCHES_STACKS uint32_t next() const {
    uint32_t above = current + 1 < 32 ? live >> (current + 1) << (current + 1) : 0;
    return uint32_t(__builtin_ctz(above ? above : live));
  }

  MFA_CALLS_GENERATED_CODE MFA_SWITCHES_STACKS static void enter(void* argument) {
    auto& self = *static_cast<Rounds*>(argument);
    uint32_t mine = self.current;
    self.code.entry(&self.group, mine, self.scratch + mine * self.stride);
    self.live &= ~(1u << mine);
    if (!self.live) self.fibers[mine].leave(self.thread);
    self.current = self.next();
    self.fibers[mine].leave(self.fibers[self.current]);
  }

  MFA_SWITCHES_STACKS void barrier() {
    uint32_t mine = current;
    current = next();
    if (current != mine) fibers[mine].switch_to(fibers[current]);
  }
};

}  // namespace

bool reserve_simdgroups(Arena& arena, const Code& code, uint32_t simdgroups) {
  if (!arena.scratch.reserve(scratch_stride(code) * simdgroups)) return false;
  return !needs_fibers(code, simdgroups) || arena.stacks.reserve(simdgroups, code.stack_bytes);
}

MFA_CALLS_GENERATED_CODE void run_simdgroups(Arena& arena, const Code& code, mfa_group& group) {
  size_t stride = scratch_stride(code);
  unsigned char* scratch = arena.scratch.reserve(stride * group.simdgroups);
  if (!needs_fibers(code, group.simdgroups)) {
    group.runner = nullptr;
    for (uint32_t i = 0; i < group.simdgroups; ++i) code.entry(&group, i, scratch + i * stride);
    return;
  }
  uint32_t all = group.simdgroups >= 32 ? ~0u : (1u << group.simdgroups) - 1;
  Rounds rounds{code, group, scratch, stride, all, 0, {}, {}};
  group.runner = &rounds;
  for (uint32_t i = 0; i < group.simdgroups; ++i)
    rounds.fibers[i].start(arena.stacks[i], &Rounds::enter, &rounds);
  rounds.thread.switch_to(rounds.fibers[0]);
}

}  // namespace mfa::exec

MFA_SWITCHES_STACKS void mfa_rt_barrier(const mfa_group* group) {
  // Without a runner one simdgroup is alone in its threadgroup.
  if (group->runner) static_cast<mfa::exec::Rounds*>(group->runner)->barrier();
}
