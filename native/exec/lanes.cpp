// SPDX-License-Identifier: MIT
// Runs the threadgroups of the reference path: one fiber per thread, meeting at sites.
#include "exec/lanes.h"

#include <algorithm>
#include <new>
#include <optional>

namespace mfa::exec {
namespace {

struct Lane {
  Fiber fiber;
  const mfa_site* site = nullptr;   // where it waits; null while it runs or has ended
  unsigned char* record = nullptr;  // its operands there
  bool ended = false;
};

class Turns;
thread_local Turns* performing = nullptr;  // the group whose lanes perform an operation

/// run_simdgroup(s), for every simdgroup in turn until all have ended:
///   loop
///     run every lane that does not wait until it waits at a site or ends
///     no lane left:             the simdgroup has ended
///     site := the one that comes first in the control flow among those where lanes wait;
///             lanes there are behind the others, who will meet them further on
///     active := the lanes at that site
///     a threadgroup barrier:    the simdgroup has arrived; go on when its turn comes again
///     otherwise:                perform the operation for `active`, let these lanes run
class Turns {
 public:
  Turns(const Code& code, mfa_group& group, Lane* lanes, unsigned char* scratch, uint32_t threads,
        GroupValidation* validation)
      : code_(code),
        group_(group),
        lanes_(lanes),
        scratch_(scratch),
        threads_(threads),
        validation_(validation) {}

  void run(const Stacks& stacks) {
    for (uint32_t t = 0; t < threads_; ++t) {
      lanes_[t] = Lane{};
      lanes_[t].fiber.start(stacks[t], &enter, this);
    }
    for (bool live = true; live;) {
      live = false;
      for (uint32_t s = 0; s < group_.simdgroups; ++s) live |= run_simdgroup(s);
      if (validation_) end_phase();
    }
  }

  MFA_SWITCHES_STACKS void meet(const mfa_site* site, unsigned char* record) {
    Lane& lane = lanes_[current_];
    lane.site = site;
    lane.record = record;
    lane.fiber.switch_to(thread_);
  }

  unsigned char* check(const mfa_access& access, unsigned char* address, uint64_t bytes) {
    return validation_ ? validation_->check(access, address, bytes, current_) : address;
  }

  unsigned char* check_lane(const mfa_access& access, unsigned lane, unsigned char* address,
                            uint64_t bytes) {
    current_ = first_ + lane;
    return check(access, address, bytes);
  }

 private:
  /// Every simdgroup waits at a barrier or has ended: all threads must wait at the same one.
  void end_phase() {
    uint32_t here = threads_;
    for (uint32_t t = 0; t < threads_; ++t)
      if (lanes_[t].site && lanes_[t].site->barrier) here = std::min(here, t);
    validation_->next_phase();
    for (uint32_t t = 0; here < threads_ && t < threads_; ++t)
      if (lanes_[t].site != lanes_[here].site)
        return validation_->divergence(lanes_[here].site, here, t, lanes_[t].ended);
  }

  MFA_CALLS_GENERATED_CODE MFA_SWITCHES_STACKS static void enter(void* argument) {
    auto& self = *static_cast<Turns*>(argument);
    uint32_t mine = self.current_;
    self.code_.thread(&self.group_, mine, self.scratch_ + size_t(mine) * self.code_.scratch_bytes);
    self.lanes_[mine].ended = true;
    self.lanes_[mine].fiber.leave(self.thread_);
  }

  /// True if the simdgroup waits at a threadgroup barrier, false if it has ended.
  bool run_simdgroup(uint32_t simdgroup) {
    uint32_t first = simdgroup * MFA_SIMD_WIDTH;
    uint32_t count = threads_ - first < MFA_SIMD_WIDTH ? threads_ - first : MFA_SIMD_WIDTH;
    Lane* lanes = lanes_ + first;
    pass_barrier(lanes, count);
    for (;;) {
      const mfa_site* site = nullptr;
      for (uint32_t i = 0; i < count; ++i) {
        if (lanes[i].ended) continue;
        if (!lanes[i].site) {
          current_ = first + i;
          thread_.switch_to(lanes[i].fiber);
        }
        if (lanes[i].ended) continue;
        if (!site || lanes[i].site->order < site->order) site = lanes[i].site;
      }
      if (!site) return false;
      if (site->barrier) return true;
      perform(lanes, count, site);
    }
  }

  /// Lets the lanes go on that made their simdgroup arrive at a threadgroup barrier in the last
  /// round: those at the first site, if that is a barrier.
  void pass_barrier(Lane* lanes, uint32_t count) {
    const mfa_site* site = nullptr;
    for (uint32_t i = 0; i < count; ++i)
      if (lanes[i].site && (!site || lanes[i].site->order < site->order)) site = lanes[i].site;
    if (site && site->barrier) perform(lanes, count, site);
  }

  void perform(Lane* lanes, uint32_t count, const mfa_site* site) {
    unsigned char* records[MFA_SIMD_WIDTH] = {};
    uint32_t active = 0;
    for (uint32_t i = 0; i < count; ++i) {
      if (lanes[i].site != site) continue;
      records[i] = lanes[i].record;
      active |= 1u << i;
      lanes[i].site = nullptr;
    }
    if (!site->perform) return;
    first_ = uint32_t(lanes - lanes_);
    performing = this;
    site->perform(site, records, active);
  }

  const Code& code_;
  mfa_group& group_;
  Lane* lanes_;
  unsigned char* scratch_;
  uint32_t threads_;
  GroupValidation* validation_;  // null: nothing is checked
  uint32_t current_ = 0;         // the thread whose fiber runs
  uint32_t first_ = 0;           // the first thread of the simdgroup that performs an operation
  Fiber thread_;
};

}  // namespace

bool reserve_lanes(Arena& arena, const Code& code, uint32_t threads, const Validation* validation) {
  if (validation && !arena.shadow.reserve(sizeof(ShadowByte) * validation->threadgroup_bytes))
    return false;
  return arena.scratch.reserve(size_t(code.scratch_bytes) * threads) &&
         arena.lanes.reserve(sizeof(Lane) * threads) &&
         arena.stacks.reserve(threads, code.stack_bytes);
}

void run_lanes(Arena& arena, const Code& code, mfa_group& group, Validation* validation) {
  uint32_t threads = group.size[0] * group.size[1] * group.size[2];
  unsigned char* memory = arena.lanes.reserve(sizeof(Lane) * threads);
  Lane* lanes = reinterpret_cast<Lane*>(memory);
  for (uint32_t t = 0; t < threads; ++t) new (lanes + t) Lane;
  std::optional<GroupValidation> checks;
  if (validation)
    checks.emplace(*validation, group, reinterpret_cast<ShadowByte*>(arena.shadow.reserve(0)));
  Turns turns(code, group, lanes, arena.scratch.reserve(size_t(code.scratch_bytes) * threads),
              threads, checks ? &*checks : nullptr);
  group.runner = &turns;
  turns.run(arena.stacks);
}

unsigned char* checked(const mfa_site* site, unsigned operand, unsigned lane,
                       unsigned char* address, uint64_t bytes) {
  const mfa_access* access = site->accesses[operand];
  return access ? performing->check_lane(*access, lane, address, bytes) : address;
}

}  // namespace mfa::exec

unsigned char* mfa_rt_access(const mfa_group* group, const mfa_access* access,
                             unsigned char* address) {
  return static_cast<mfa::exec::Turns*>(group->runner)->check(*access, address, access->bytes);
}

MFA_SWITCHES_STACKS void mfa_rt_meet(const mfa_group* group, const mfa_site* site,
                                     unsigned char* record) {
  static_cast<mfa::exec::Turns*>(group->runner)->meet(site, record);
}
