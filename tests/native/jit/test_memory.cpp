// SPDX-License-Identifier: MIT
// Atomics, tile copies, windows and private arrays of both paths -> their definitions.
#include "check.h"
#include "runner.h"

namespace {

std::string run(Path path, const std::string& text, std::vector<Bytes>& buffers, const Grid& grid) {
  std::string error = run_kernel(path, text, buffers, grid);
  if (!error.empty()) fprintf(stderr, "%s: %s\n", name_of(path), error.c_str());
  REQUIRE(error.empty());
  return error;
}

/// All threads of several groups work on the same words.
void atomics_lose_nothing(Path path) {
  const std::string text = R"(
define void @k(ptr addrspace(1) %n, ptr addrspace(1) %f, i32 %t) {
  %old = call i32 @air.atomic.global.add.u.i32(ptr addrspace(1) %n, i32 3, i32 0, i32 2, i1 true)
  %p1 = getelementptr i32, ptr addrspace(1) %n, i64 1
  %o1 = call i32 @air.atomic.global.max.s.i32(ptr addrspace(1) %p1, i32 %t, i32 0, i32 2, i1 true)
  %p2 = getelementptr i32, ptr addrspace(1) %n, i64 2
  %o2 = call i32 @air.atomic.global.xor.u.i32(ptr addrspace(1) %p2, i32 %t, i32 0, i32 2, i1 true)
  %odd = and i32 %t, 1
  %is_odd = icmp eq i32 %odd, 1
  br i1 %is_odd, label %a, label %b
a:
  %g = call float @air.atomic.global.add.f32(ptr addrspace(1) %f, float 1.0, i32 0, i32 2, i1 true)
  br label %b
b:
  ret void
}
declare i32 @air.atomic.global.add.u.i32(ptr addrspace(1), i32, i32, i32, i1)
declare i32 @air.atomic.global.max.s.i32(ptr addrspace(1), i32, i32, i32, i1)
declare i32 @air.atomic.global.xor.u.i32(ptr addrspace(1), i32, i32, i32, i1)
declare float @air.atomic.global.add.f32(ptr addrspace(1), float, i32, i32, i1)
)" + kernel_metadata({buffer_argument(0, 0, 1), buffer_argument(1, 1, 1),
                      builtin_argument(2, "thread_position_in_grid")});
  std::vector<Bytes> buffers = {bytes_of(std::vector<int32_t>{0, -5, 0}),
                                bytes_of(std::vector<float>{0})};
  run(path, text, buffers, Grid{{1000, 1, 1}, {96, 1, 1}});
  auto n = values_of<int32_t>(buffers[0]);
  int32_t all = 0;
  for (int t = 0; t < 1000; ++t) all ^= t;
  CHECK(n[0] == 3000 && n[1] == 999 && n[2] == all);
  CHECK(values_of<float>(buffers[1])[0] == 500.0f);
}

/// A spin on compare-exchange, as float additions are written before Metal 3.
void compare_exchange(Path path) {
  const std::string text = R"(
define void @k(ptr addrspace(1) %n, i32 %t) {
entry:
  %expected = alloca i32, align 4
  %start = call i32 @air.atomic.global.load.i32(ptr addrspace(1) %n, i32 0, i32 2, i1 true)
  store i32 %start, ptr %expected
  br label %loop
loop:
  %e = load i32, ptr %expected
  %wanted = add i32 %e, %t
  %found = call i32 @air.atomic.global.cmpxchg.weak.i32(ptr addrspace(1) %n, ptr %expected, i32 %wanted, i32 0, i32 0, i32 2, i1 true)
  %done = icmp eq i32 %found, %e
  br i1 %done, label %leave, label %loop
leave:
  ret void
}
declare i32 @air.atomic.global.load.i32(ptr addrspace(1), i32, i32, i1)
declare i32 @air.atomic.global.cmpxchg.weak.i32(ptr addrspace(1), ptr, i32, i32, i32, i32, i1)
)" + kernel_metadata({buffer_argument(0, 0, 1), builtin_argument(1, "thread_position_in_grid")});
  std::vector<Bytes> buffers = {bytes_of(std::vector<uint32_t>{7})};
  run(path, text, buffers, Grid{{500, 1, 1}, {64, 1, 1}});
  CHECK(values_of<uint32_t>(buffers[0])[0] == 7 + 500 * 499 / 2);
}

/// Device tile of 5 x 3 -> threadgroup tile of 8 x 4 with zeros around -> back to device.
void tile_copies(Path path) {
  const std::string text = R"(
define void @k(ptr addrspace(1) %in, ptr addrspace(1) %out, ptr addrspace(3) %tile) {
  %events = alloca [1 x ptr], align 8
  %e = call ptr @air.simdgroup_async_copy_2d.p3i8.p1i8(i64 4, i64 4, ptr addrspace(3) %tile, i64 8, i64 1, <2 x i64> <i64 8, i64 4>, ptr addrspace(1) %in, i64 6, i64 1, <2 x i64> <i64 5, i64 3>, <2 x i64> zeroinitializer, i32 0) #0
  store ptr %e, ptr %events
  call void @air.wait_simdgroup_events(i32 1, ptr %events) #0
  call void @air.wg.barrier(i32 2, i32 1) #0
  %f = call ptr @air.simdgroup_async_copy_2d.p1i8.p3i8(i64 4, i64 4, ptr addrspace(1) %out, i64 10, i64 1, <2 x i64> <i64 8, i64 4>, ptr addrspace(3) %tile, i64 8, i64 1, <2 x i64> <i64 8, i64 4>, <2 x i64> zeroinitializer, i32 0) #0
  ret void
}
declare ptr @air.simdgroup_async_copy_2d.p3i8.p1i8(i64, i64, ptr addrspace(3), i64, i64, <2 x i64>, ptr addrspace(1), i64, i64, <2 x i64>, <2 x i64>, i32) #0
declare ptr @air.simdgroup_async_copy_2d.p1i8.p3i8(i64, i64, ptr addrspace(1), i64, i64, <2 x i64>, ptr addrspace(3), i64, i64, <2 x i64>, <2 x i64>, i32) #0
declare void @air.wait_simdgroup_events(i32, ptr) #0
declare void @air.wg.barrier(i32, i32) #0
attributes #0 = { convergent nounwind willreturn }
)" + kernel_metadata({buffer_argument(0, 0, 1), buffer_argument(1, 1, 1),
                      buffer_argument(2, 0, 3)});
  std::vector<uint32_t> in(18), out(40, 99);
  for (uint32_t i = 0; i < in.size(); ++i) in[i] = i + 1;
  std::vector<Bytes> buffers = {bytes_of(in), bytes_of(out)};
  run(path, text, buffers, Grid{{32, 1, 1}, {32, 1, 1}, 8 * 4 * 4});
  out = values_of<uint32_t>(buffers[1]);
  for (uint32_t y = 0; y < 4; ++y)
    for (uint32_t x = 0; x < 10; ++x) {
      uint32_t expected = x >= 8 ? 99 : x < 5 && y < 3 ? in[y * 6 + x] : 0;
      CHECK(out[y * 10 + x] == expected);
    }
}

/// An array indexed differently by every lane.
void private_arrays(Path path) {
  const std::string text = R"(
define void @k(ptr addrspace(1) %out, i32 %t) {
entry:
  %a = alloca [16 x i32], align 4
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %p = getelementptr [16 x i32], ptr %a, i64 0, i64 %i
  %i32 = trunc i64 %i to i32
  %v = mul i32 %i32, %t
  store i32 %v, ptr %p
  %next = add i64 %i, 1
  %again = icmp ult i64 %next, 16
  br i1 %again, label %loop, label %done
done:
  %m = and i32 %t, 15
  %wm = zext i32 %m to i64
  %q = getelementptr [16 x i32], ptr %a, i64 0, i64 %wm
  %x = load i32, ptr %q
  %w = zext i32 %t to i64
  %o = getelementptr i32, ptr addrspace(1) %out, i64 %w
  store i32 %x, ptr addrspace(1) %o
  ret void
}
)" + kernel_metadata({buffer_argument(0, 0, 1), builtin_argument(1, "thread_position_in_grid")});
  std::vector<Bytes> buffers = {bytes_of(std::vector<uint32_t>(100))};
  run(path, text, buffers, Grid{{100, 1, 1}, {50, 1, 1}});
  auto out = values_of<uint32_t>(buffers[0]);
  for (uint32_t t = 0; t < 100; ++t) CHECK(out[t] == (t & 15) * t);
}

/// Packed numbers of `bits` bits: lanes read few bytes, many of them more than once. The last group
/// is not full, and then its lanes must not read the bytes of those that are missing.
void windows(Path path, uint32_t bits) {
  const std::string n = std::to_string(bits);
  const std::string text = R"(
define void @k(ptr addrspace(1) %in, ptr addrspace(1) %out, i32 %g, i32 %l, i32 %t) {
  %row = mul i32 %g, )" + std::to_string(4 * bits) +
                           R"(
  %row64 = zext i32 %row to i64
  %base = getelementptr i8, ptr addrspace(1) %in, i64 %row64
  %bit = mul i32 %l, )" + n +
                           R"(
  %last = add i32 %bit, )" +
                           std::to_string(bits - 1) +
                           R"(
  %i = lshr i32 %bit, 3
  %j = lshr i32 %last, 3
  %i64 = zext i32 %i to i64
  %j64 = zext i32 %j to i64
  %p = getelementptr i8, ptr addrspace(1) %base, i64 %i64
  %q = getelementptr i8, ptr addrspace(1) %base, i64 %j64
  %x = load i8, ptr addrspace(1) %p
  %y = load i8, ptr addrspace(1) %q
  %x32 = zext i8 %x to i32
  %y32 = zext i8 %y to i32
  %high = shl i32 %y32, 8
  %both = or i32 %high, %x32
  %w = zext i32 %t to i64
  %o = getelementptr i32, ptr addrspace(1) %out, i64 %w
  store i32 %both, ptr addrspace(1) %o
  ret void
}
)" +
                           kernel_metadata({buffer_argument(0, 0, 1), buffer_argument(1, 1, 1),
                                            builtin_argument(2, "threadgroup_position_in_grid"),
                                            builtin_argument(3, "thread_index_in_simdgroup"),
                                            builtin_argument(4, "thread_position_in_grid")});
  constexpr uint32_t threads = 32 * 3 + 11;
  Bytes in(4 * bits * 3 + (11 * bits + 7) / 8);
  for (size_t i = 0; i < in.size(); ++i) in[i] = uint8_t(i * 37 + 5);
  std::vector<Bytes> buffers = {in, bytes_of(std::vector<uint32_t>(threads))};
  run(path, text, buffers, Grid{{threads, 1, 1}, {32, 1, 1}});
  auto out = values_of<uint32_t>(buffers[1]);
  for (uint32_t t = 0; t < threads; ++t) {
    uint32_t first = t * bits / 8, last = (t * bits + bits - 1) / 8;
    CHECK(out[t] == (in[first] | uint32_t(in[last]) << 8));
  }
}

}  // namespace

int main() {
  for (Path path : both_paths) {
    atomics_lose_nothing(path);
    compare_exchange(path);
    private_arrays(path);
    tile_copies(path);
    for (uint32_t bits : {1, 2, 3, 4, 5, 6, 7, 8}) windows(path, bits);
  }
  return report();
}
