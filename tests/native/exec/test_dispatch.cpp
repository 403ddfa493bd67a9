// SPDX-License-Identifier: MIT
// Grids of hand-written simdgroup functions -> each group and barrier is seen as often as it
// should.
#include <sys/resource.h>

#include <atomic>
#include <cstdint>
#include <set>
#include <thread>
#include <vector>

#include "check.h"
#include "exec/dispatch.h"
#include "exec/order.h"

using namespace mfa::exec;

namespace {

struct Seen {
  std::atomic<uint64_t> groups{0}, simdgroups{0}, threads{0}, errors{0};
};

Seen& seen_of(const mfa_group* group) {
  return *reinterpret_cast<Seen*>(group->launch->buffers[0]);
}

void count(const mfa_group* group, uint32_t simdgroup, unsigned char*) {
  Seen& seen = seen_of(group);
  seen.simdgroups++;
  if (simdgroup != 0) return;
  seen.groups++;
  seen.threads += group->size[0] * group->size[1] * group->size[2];
}

/// Every simdgroup writes its mark, waits, and reads all marks of the round. Simdgroup s takes part
/// in s + 1 rounds at most.
void rounds(const mfa_group* group, uint32_t simdgroup, unsigned char* scratch) {
  auto* marks = reinterpret_cast<uint32_t*>(group->threadgroup);
  scratch[0] = uint8_t(simdgroup);
  for (uint32_t round = 0; round <= simdgroup; ++round) {
    marks[simdgroup] = round + 1;
    mfa_rt_barrier(group);
    for (uint32_t s = round; s < group->simdgroups; ++s)
      if (marks[s] != round + 1) seen_of(group).errors++;
    mfa_rt_barrier(group);
  }
  if (scratch[0] != uint8_t(simdgroup)) seen_of(group).errors++;
  seen_of(group).simdgroups++;
}

void deep(const mfa_group* group, uint32_t, unsigned char*) {
  volatile char frame[600 * 1024];
  for (size_t i = 0; i < sizeof frame; i += 4096) frame[i] = 1;
  seen_of(group).simdgroups++;
}

Dispatch dispatch_of(Seen& seen) {
  Dispatch dispatch;
  dispatch.launch.buffers[0] = reinterpret_cast<unsigned char*>(&seen);
  return dispatch;
}

auto run(const Dispatch& dispatch, const Code* linear, const Code* general) {
  Caller caller;
  return mfa::exec::run(dispatch, shapes(dispatch), linear, general, caller);
}

void order_visits_every_group_once() {
  const uint32_t grids[][3] = {{1, 1, 1}, {7, 1, 1}, {5, 8, 1}, {3, 13, 2}, {1, 9, 4}};
  for (const auto& grid : grids) {
    Order order(grid);
    std::set<std::vector<uint32_t>> all;
    uint32_t count = grid[0] * grid[1] * grid[2];
    Order::Position next = order.position(0);
    for (uint32_t i = 0; i < count; ++i) {
      const auto [p, first_row, rows] = order.position(i);
      CHECK(std::equal(p, p + 3, next.at) && first_row == next.first_row && rows == next.rows);
      order.advance(next);
      CHECK(p[0] < grid[0] && p[1] < grid[1] && p[2] < grid[2]);
      all.insert({p[0], p[1], p[2]});
    }
    CHECK(all.size() == count);
  }
}

void uniform_grid() {
  Seen seen;
  Dispatch dispatch = dispatch_of(seen);
  const uint32_t groups[] = {10, 11, 3}, size[] = {64, 2, 1};
  set_threadgroups(dispatch, groups, size);
  Code code;
  code.entry = count;
  CHECK(!shapes(dispatch).general);
  for (int i = 0; i < 3; ++i) CHECK(bool(run(dispatch, &code, nullptr)));
  CHECK(seen.groups == 3 * 330 && seen.simdgroups == 3 * 330 * 4 && seen.threads == 3 * 330 * 128);
}

void edge_groups_are_smaller() {
  Seen interior;
  Dispatch dispatch = dispatch_of(interior);
  const uint32_t threads[] = {100, 7, 1}, size[] = {32, 4, 1};
  set_threads(dispatch, threads, size);
  Shapes needed = shapes(dispatch);
  CHECK(needed.linear && needed.general);
  Code code;
  code.entry = count;
  CHECK(!run(dispatch, &code, nullptr));
  CHECK(interior.groups == 0);
  CHECK(bool(run(dispatch, &code, &code)));
  CHECK(interior.groups == 8 && interior.threads == 700);
}

void empty_grids_and_bad_groups() {
  Seen seen;
  Dispatch dispatch = dispatch_of(seen);
  Code code;
  code.entry = count;
  const uint32_t none[] = {4, 0, 1}, size[] = {32, 1, 1}, some[] = {4, 1, 1};
  set_threadgroups(dispatch, none, size);
  CHECK(bool(run(dispatch, &code, nullptr)));
  const uint32_t large[] = {1024, 2, 1};
  set_threadgroups(dispatch, some, large);
  auto refused = run(dispatch, &code, &code);
  CHECK(!refused && refused.error().find("1024 x 2 x 1") != std::string::npos);
  CHECK(seen.groups == 0);
}

#if !defined(__SANITIZE_ADDRESS__) && !__has_feature(address_sanitizer) && \
    !__has_feature(thread_sanitizer)
/// With an address space of 1 GiB neither the scratch nor the stacks fit.
void out_of_memory_runs_nothing() {
  rlimit before{};
  getrlimit(RLIMIT_AS, &before);
  rlimit small = before;
  small.rlim_cur = 1 << 30;
  REQUIRE(setrlimit(RLIMIT_AS, &small) == 0);
  Seen seen;
  Dispatch dispatch = dispatch_of(seen);
  const uint32_t one[] = {2, 1, 1}, size[] = {64, 1, 1};
  set_threadgroups(dispatch, one, size);
  Code code;
  code.entry = count;
  code.scratch_bytes = 2000000000u;
  CHECK(!run(dispatch, &code, nullptr));
  code.scratch_bytes = 0;
  code.barriers = true;
  code.stack_bytes = 2000000000u;
  CHECK(!run(dispatch, &code, nullptr));
  CHECK(seen.groups == 0);
  setrlimit(RLIMIT_AS, &before);
}
#else
void out_of_memory_runs_nothing() {}
#endif

void barriers() {
  for (uint32_t simdgroups : {1u, 2u, 3u, 31u, 32u}) {
    Seen seen;
    Dispatch dispatch = dispatch_of(seen);
    const uint32_t groups[] = {9, 5, 1}, size[] = {32 * simdgroups, 1, 1};
    set_threadgroups(dispatch, groups, size);
    uint32_t lengths[MFA_MAX_BUFFERS] = {};
    lengths[0] = 1000;
    set_threadgroup_memory(dispatch, 130, lengths);
    CHECK(dispatch.launch.threadgroup_offsets[0] == 144 &&
          dispatch.threadgroup_bytes == 144 + 1008);
    Code code;
    code.entry = rounds;
    code.barriers = true;
    code.scratch_bytes = 100;
    code.stack_bytes = 32 * 1024;
    CHECK(bool(run(dispatch, &code, nullptr)));
    CHECK(seen.errors == 0 && seen.simdgroups == 45 * simdgroups);
  }
}

void deep_stacks() {
  Seen seen;
  Dispatch dispatch = dispatch_of(seen);
  const uint32_t groups[] = {3, 1, 1}, size[] = {64, 1, 1};
  set_threadgroups(dispatch, groups, size);
  Code code;
  code.entry = deep;
  code.stack_bytes = 1 << 20;
  CHECK(bool(run(dispatch, &code, nullptr)));
  CHECK(seen.simdgroups == 6);
}

void concurrent_callers() {
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller)
    callers.emplace_back([] {
      for (int i = 0; i < 30; ++i) {
        Seen seen;
        Dispatch dispatch = dispatch_of(seen);
        const uint32_t groups[] = {40, 3, 1}, size[] = {96, 1, 1};
        set_threadgroups(dispatch, groups, size);
        dispatch.threadgroup_bytes = 256;
        Code code;
        code.entry = rounds;
        code.barriers = true;
        code.scratch_bytes = 64;
        CHECK(bool(run(dispatch, &code, nullptr)));
        CHECK(seen.errors == 0 && seen.simdgroups == 360);
      }
    });
  for (std::thread& caller : callers) caller.join();
}

}  // namespace

int main() {
  order_visits_every_group_once();
  uniform_grid();
  edge_groups_are_smaller();
  empty_grids_and_bad_groups();
  out_of_memory_runs_nothing();
  barriers();
  deep_stacks();
  concurrent_callers();
  return report();
}
