// SPDX-License-Identifier: MIT
// One compute dispatch -> threadgroups -> worker threads.
#include "exec/dispatch.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <climits>
#include <deque>
#include <string>

#include "exec/float_mode.h"
#include "exec/lanes.h"
#include "exec/order.h"
#include "exec/pool.h"
#include "exec/simdgroups.h"

namespace mfa::exec {
namespace {

using Clock = std::chrono::steady_clock;

// A dispatch that is expected to take less than this is not worth waking anybody for.
constexpr uint64_t alone_nanoseconds = 15'000;
// How much work one claim of the counter should be worth.
constexpr uint64_t claim_nanoseconds = 1'000;
// Each fiber of the reference path costs two memory mappings, of which a process has 65,530.
constexpr unsigned max_reference_workers = 8;

uint64_t nanoseconds_since(Clock::time_point start) {
  return uint64_t(std::chrono::nanoseconds(Clock::now() - start).count());
}

uint32_t threads_in(const uint32_t size[3]) { return size[0] * size[1] * size[2]; }

/// The actual size of the group at `position`.
void group_size(const Dispatch& dispatch, const uint32_t position[3], uint32_t size[3]) {
  const mfa_launch& launch = dispatch.launch;
  for (int axis = 0; axis < 3; ++axis) {
    size[axis] = launch.threads_per_group[axis];
    if (dispatch.uniform) continue;
    uint64_t start = uint64_t(position[axis]) * size[axis];
    size[axis] = uint32_t(std::min<uint64_t>(size[axis], launch.threads_per_grid[axis] - start));
  }
}

/// The loop over the threadgroups of one dispatch, shared by its workers.
class Grid final : public Job {
 public:
  Grid(const Dispatch& dispatch, Shapes needed, const Code* linear, const Code* general)
      : dispatch_(dispatch),
        linear_(needed.linear ? linear : nullptr),
        general_(needed.general ? general : nullptr),
        order_(dispatch.launch.threadgroups_per_grid) {
    const uint32_t* groups = dispatch.launch.threadgroups_per_grid;
    count_ = uint64_t(groups[0]) * groups[1] * groups[2];
  }

  uint64_t count() const { return count_; }
  const Code& code() const { return *(linear_ ? linear_ : general_); }
  /// By what a threadgroup took last time; 0: not known.
  uint64_t expected_nanoseconds() const { return count_ * each_nanoseconds(); }
  void set_chunk_for(unsigned helpers) {
    uint32_t each = each_nanoseconds();
    if (each == 0) return;
    uint64_t share = helpers == 0 ? count_ : count_ / (8 * (uint64_t(helpers) + 1));
    chunk_ = std::max<uint64_t>(1, std::min(claim_nanoseconds / each, share));
  }

  bool traced() const { return dispatch_.traced != nullptr; }

  /// Memory for every group this worker may meet.
  bool reserve(Arena& arena) const {
    // Vector code may read whole vectors at the end of threadgroup memory.
    constexpr size_t slack = 64;
    uint32_t threads = threads_in(dispatch_.launch.threads_per_group);
    if (!arena.threadgroup.reserve(dispatch_.threadgroup_bytes + slack)) return false;
    for (const Code* code : {linear_, general_}) {
      if (!code) continue;
      bool done = code->thread ? reserve_lanes(arena, *code, threads, dispatch_.validation)
                               : reserve_simdgroups(arena, *code, simdgroups_of(threads));
      if (!done) return false;
    }
    return true;
  }

  /// A helper without memory leaves the work to the others.
  void work(Arena& arena) override {
    if (!reserve(arena)) return;
    if (dispatch_.traced)
      claim_traced(arena, "help");
    else
      claim(arena, UINT64_MAX);
  }

  void claim_traced(Arena& arena, const char* category) {
    if (next_.load(std::memory_order_relaxed) >= count_) return;
    const double start = trace::now();
    claim(arena, UINT64_MAX);
    const Traced& traced = *dispatch_.traced;
    trace::slice(category, traced.name, start, trace::now(), traced.arguments);
  }

  /// Runs claimed groups until none is left, or for about `limit` nanoseconds. True if none is.
  bool claim(Arena& arena, uint64_t limit) {
    if (next_.load(std::memory_order_relaxed) >= count_) return true;
    const FloatMode mode(code().flush_subnormals);  // fibers take it over
    const bool limited = limit != UINT64_MAX && chunk_ < count_;
    const bool timed = limited || worth_timing();
    Clock::time_point start = timed ? Clock::now() : Clock::time_point();
    uint64_t done = 0;
    for (;;) {
      uint64_t first = next_.fetch_add(chunk_, std::memory_order_relaxed);
      if (first >= count_) break;
      uint64_t end = std::min(count_, first + chunk_);
      Order::Position position = order_.position(first);
      for (uint64_t index = first; index < end; ++index) {
        run_group(arena, position);
        order_.advance(position);
      }
      done += end - first;
      if (end == count_) break;
      if (limited && nanoseconds_since(start) >= limit) break;
    }
    if (timed && done > 0) remember(nanoseconds_since(start) / done);
    return next_.load(std::memory_order_relaxed) >= count_;
  }

 private:
  /// To read the clock takes as long as a small dispatch, so that of those only some are timed.
  bool worth_timing() const {
    const uint64_t expected = expected_nanoseconds();
    if (expected == 0 || expected >= alone_nanoseconds) return true;
    thread_local unsigned small_ones = 0;
    return ++small_ones % 32 == 0;
  }

  uint32_t each_nanoseconds() const {
    return __atomic_load_n(&code().group_nanoseconds, __ATOMIC_RELAXED);
  }

  static uint32_t simdgroups_of(uint32_t threads) {
    return (threads + MFA_SIMD_WIDTH - 1) / MFA_SIMD_WIDTH;
  }

  void remember(uint64_t nanoseconds) const {
    uint32_t value = uint32_t(std::clamp<uint64_t>(nanoseconds, 1, UINT32_MAX));
    __atomic_store_n(&code().group_nanoseconds, value, __ATOMIC_RELAXED);
  }

  void run_group(Arena& arena, const Order::Position& position) const {
    mfa_group group{};
    group.launch = &dispatch_.launch;
    group.threadgroup = arena.threadgroup.reserve(0);
    std::copy(std::begin(position.at), std::end(position.at), group.position);
    group_size(dispatch_, group.position, group.size);
    group.simdgroups = simdgroups_of(threads_in(group.size));
    const Code& code = *(shape_of(group.size) == Shape::linear ? linear_ : general_);
    if (code.thread)
      run_lanes(arena, code, group, dispatch_.validation);
    else
      run_simdgroups(arena, code, group);
  }

  const Dispatch& dispatch_;
  const Code *linear_, *general_;
  Order order_;
  uint64_t count_ = 0, chunk_ = 1;
  std::atomic<uint64_t> next_{0};
};

/// Several grids at the same time. A thread takes one that nobody has taken, and when there is none
/// helps with those that are not finished.
class Batch final : public Job {
 public:
  explicit Batch(std::deque<Grid>& grids) : grids_(grids) {}

  void work(Arena& arena) override {
    for (Grid& grid : grids_)
      if (!grid.reserve(arena)) return;
    claim(arena);
  }

  void claim(Arena& arena) {
    for (;;) {
      const size_t taken = next_.fetch_add(1, std::memory_order_relaxed);
      if (taken >= grids_.size()) break;
      claim(arena, grids_[taken]);
    }
    for (Grid& grid : grids_) claim(arena, grid);
  }

 private:
  static void claim(Arena& arena, Grid& grid) {
    if (grid.traced())
      grid.claim_traced(arena, "command");
    else
      grid.claim(arena, UINT64_MAX);
  }

  std::deque<Grid>& grids_;
  std::atomic<size_t> next_{0};
};

Result<void> check(const Dispatch& dispatch, Shapes needed, const Code* linear,
                   const Code* general) {
  const mfa_launch& launch = dispatch.launch;
  uint64_t threads = 1;
  for (uint32_t size : launch.threads_per_group) threads *= size;
  if (threads == 0 || threads > MFA_MAX_THREADS)
    return Error{"a threadgroup of " + std::to_string(launch.threads_per_group[0]) + " x " +
                 std::to_string(launch.threads_per_group[1]) + " x " +
                 std::to_string(launch.threads_per_group[2]) + " threads; expected 1 to " +
                 std::to_string(MFA_MAX_THREADS) + " threads"};
  if ((needed.linear && !linear) || (needed.general && !general))
    return Error{"the grid needs a variant of the kernel that was not compiled"};
  return {};
}

Error no_memory(const Dispatch& dispatch) {
  return Error{"no memory for a threadgroup of " + std::to_string(dispatch.threadgroup_bytes) +
               " bytes"};
}

/// What the checks of a validated kernel have found.
Result<void> found(const Dispatch& dispatch) {
  if (dispatch.validation)
    if (std::string text = dispatch.validation->text(); !text.empty()) return Error{text};
  return {};
}

/// How many threads beside the caller the dispatch is worth.
unsigned helpers_for(const Code& code, uint64_t groups) {
  unsigned workers = Pool::instance().workers();
  if (code.thread) workers = std::min(workers, max_reference_workers);
  return unsigned(std::min<uint64_t>(workers, groups)) - 1;
}

}  // namespace

void set_threadgroups(Dispatch& dispatch, const uint32_t groups[3], const uint32_t group_size[3]) {
  dispatch.uniform = true;
  for (int axis = 0; axis < 3; ++axis) {
    dispatch.launch.threads_per_group[axis] = group_size[axis];
    dispatch.launch.threadgroups_per_grid[axis] = groups[axis];
    dispatch.launch.threads_per_grid[axis] = groups[axis] * group_size[axis];
  }
}

void set_threads(Dispatch& dispatch, const uint32_t threads[3], const uint32_t group_size[3]) {
  dispatch.uniform = false;
  for (int axis = 0; axis < 3; ++axis) {
    uint64_t groups = (uint64_t(threads[axis]) + group_size[axis] - 1) / group_size[axis];
    dispatch.launch.threads_per_group[axis] = group_size[axis];
    dispatch.launch.threadgroups_per_grid[axis] = uint32_t(groups);
    dispatch.launch.threads_per_grid[axis] = threads[axis];
  }
}

void set_threadgroup_memory(Dispatch& dispatch, uint32_t static_bytes,
                            const uint32_t bytes[MFA_MAX_BUFFERS]) {
  auto align = [](uint32_t value) { return (value + 15u) & ~15u; };
  uint32_t end = align(static_bytes);
  for (int slot = 0; slot < MFA_MAX_BUFFERS; ++slot) {
    dispatch.launch.threadgroup_offsets[slot] = end;
    end += align(bytes[slot]);
  }
  dispatch.threadgroup_bytes = end;
}

Shapes shapes(const Dispatch& dispatch) {
  const mfa_launch& launch = dispatch.launch;
  for (int axis = 0; axis < 3; ++axis)
    if (launch.threadgroups_per_grid[axis] == 0 || launch.threads_per_grid[axis] == 0) return {};
  if (dispatch.uniform) {
    const bool linear = shape_of(launch.threads_per_group) == Shape::linear;
    return {linear, !linear};
  }
  // Along each axis the groups have at most two sizes: that of the first and that of the last.
  Shapes result;
  for (int corner = 0; corner < 8; ++corner) {
    uint32_t position[3], size[3];
    for (int axis = 0; axis < 3; ++axis)
      position[axis] = corner >> axis & 1 ? launch.threadgroups_per_grid[axis] - 1 : 0;
    group_size(dispatch, position, size);
    (shape_of(size) == Shape::linear ? result.linear : result.general) = true;
  }
  return result;
}

Caller::~Caller() {
  if (arena_) Pool::instance().return_arena(std::unique_ptr<Arena>(arena_));
}

Arena* Caller::arena() {
  if (!arena_) arena_ = Pool::instance().take_arena().release();
  return arena_;
}

Result<void> run(const Dispatch& dispatch, Shapes needed, const Code* linear, const Code* general,
                 Caller& caller) {
  if (!needed.linear && !needed.general) return {};
  if (auto checked = check(dispatch, needed, linear, general); !checked) return checked;
  Grid grid(dispatch, needed, linear, general);

  // Before any group runs: the caller alone can finish what it begins.
  Arena* arena = caller.arena();
  if (!arena || !grid.reserve(*arena)) return no_memory(dispatch);

  unsigned helpers = helpers_for(grid.code(), grid.count());
  uint64_t expected = grid.expected_nanoseconds();
  bool small = expected > 0 && expected < alone_nanoseconds;
  grid.set_chunk_for(small ? 0 : helpers);
  bool finished = helpers == 0 || small;
  if (finished) finished = grid.claim(*arena, helpers == 0 ? UINT64_MAX : 2 * alone_nanoseconds);
  if (!finished) {
    Pool& pool = Pool::instance();
    pool.publish(grid, helpers);
    grid.claim(*arena, UINT64_MAX);
    pool.retire(grid);
  }
  return found(dispatch);
}

void run_together(std::vector<Work>& works, Caller& caller) {
  std::deque<Grid> grids;
  std::vector<Work*> begun;
  Pool& pool = Pool::instance();
  Arena* arena = caller.arena();
  uint64_t groups = 0, expected = 0;
  bool known = true;
  unsigned helpers = UINT_MAX;
  for (Work& work : works) {
    const Dispatch& dispatch = work.dispatch;
    const Shapes needed = work.needed;
    if (!needed.linear && !needed.general) continue;
    work.result = check(dispatch, needed, work.linear, work.general);
    if (!work.result) continue;
    Grid& grid = grids.emplace_back(dispatch, needed, work.linear, work.general);
    if (!arena || !grid.reserve(*arena)) {
      grids.pop_back();
      work.result = no_memory(dispatch);
      continue;
    }
    begun.push_back(&work);
    groups += grid.count();
    expected += grid.expected_nanoseconds();
    known = known && grid.expected_nanoseconds() > 0;
    helpers = std::min(helpers, helpers_for(grid.code(), UINT64_MAX));
  }
  if (!grids.empty()) {
    helpers = unsigned(std::min<uint64_t>(helpers, groups - 1));
    if (known && expected < alone_nanoseconds) helpers = 0;
    for (Grid& grid : grids) grid.set_chunk_for(helpers);
    Batch batch(grids);
    if (helpers) pool.publish(batch, helpers);
    batch.claim(*arena);
    if (helpers) pool.retire(batch);
  }
  for (Work* work : begun) work->result = found(work->dispatch);
}

unsigned workers() { return Pool::instance().workers(); }

}  // namespace mfa::exec
