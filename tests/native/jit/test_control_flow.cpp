// SPDX-License-Identifier: MIT
// Kernels with divergent loops, early returns and odd barriers -> lanes meet where MSL says.
#include <cstring>
#include <numeric>

#include "check.h"
#include "runner.h"

namespace {

using Words = std::vector<uint32_t>;

const std::string declarations = R"(
declare i32 @air.simd_sum.u.i32(i32) #0
declare void @air.wg.barrier(i32, i32) #1
attributes #0 = { convergent nounwind willreturn memory(none) }
attributes #1 = { convergent nounwind willreturn }
)";

Words run(Path path, const std::string& body, const std::vector<std::string>& arguments, Words out,
          const Grid& grid) {
  std::vector<Bytes> buffers = {bytes_of(out)};
  std::string error =
      run_kernel(path, body + declarations + kernel_metadata(arguments), buffers, grid);
  if (!error.empty()) fprintf(stderr, "%s: %s\n", name_of(path), error.c_str());
  REQUIRE(error.empty());
  return values_of<uint32_t>(buffers[0]);
}

const std::vector<std::string> out_and_index = {buffer_argument(0, 0, 1),
                                                builtin_argument(1, "thread_position_in_grid")};

/// Lane i goes round i % 5 + 1 times; every round sums the lanes that are still in the loop.
void lanes_of_different_rounds_do_not_mix(Path path) {
  const char* body = R"(
define void @k(ptr addrspace(1) %out, i32 %t) {
entry:
  %m = urem i32 %t, 5
  %last = add i32 %m, 1
  br label %loop
loop:
  %i = phi i32 [ 0, %entry ], [ %next, %loop ]
  %total = phi i32 [ 0, %entry ], [ %more, %loop ]
  %s = call i32 @air.simd_sum.u.i32(i32 1) #0
  %scaled = shl i32 %s, %i
  %more = add i32 %total, %scaled
  %next = add i32 %i, 1
  %again = icmp ult i32 %next, %last
  br i1 %again, label %loop, label %done
done:
  %all = call i32 @air.simd_sum.u.i32(i32 1) #0
  %result = mul i32 %all, %more
  %w = zext i32 %t to i64
  %p = getelementptr i32, ptr addrspace(1) %out, i64 %w
  store i32 %result, ptr addrspace(1) %p
  ret void
})";
  Words out = run(path, body, out_and_index, Words(40), Grid{{40, 1, 1}, {40, 1, 1}});
  for (uint32_t t = 0; t < 40; ++t) {
    uint32_t first = t / 32 * 32, end = std::min(first + 32, 40u), total = 0;
    for (uint32_t i = 0; i <= t % 5; ++i) {
      uint32_t in_loop = 0;
      for (uint32_t u = first; u < end; ++u) in_loop += u % 5 >= i;
      total += in_loop << i;
    }
    CHECK(out[t] == total * (end - first));
  }
}

/// An exit in the middle of the loop leads to code that must wait for the lanes still inside.
void exits_wait_for_the_loop(Path path) {
  const char* body = R"(
define void @k(ptr addrspace(1) %out, i32 %t) {
entry:
  br label %head
head:
  %i = phi i32 [ 0, %entry ], [ %next, %tail ]
  %stop = icmp eq i32 %i, %t
  br i1 %stop, label %done, label %middle
middle:
  %s = call i32 @air.simd_sum.u.i32(i32 1) #0
  %odd = and i32 %i, 1
  %is_odd = icmp ne i32 %odd, 0
  br i1 %is_odd, label %extra, label %tail
extra:
  %wide_i = zext i32 %i to i64
  %q = getelementptr i32, ptr addrspace(1) %out, i64 %wide_i
  store i32 %s, ptr addrspace(1) %q
  br label %tail
tail:
  %next = add i32 %i, 1
  %limit = icmp ult i32 %next, 20
  br i1 %limit, label %head, label %done
done:
  %all = call i32 @air.simd_sum.u.i32(i32 1) #0
  %at = add i32 %t, 32
  %w = zext i32 %at to i64
  %p = getelementptr i32, ptr addrspace(1) %out, i64 %w
  store i32 %all, ptr addrspace(1) %p
  ret void
})";
  Words out = run(path, body, out_and_index, Words(64), Grid{{32, 1, 1}, {32, 1, 1}});
  for (uint32_t i = 0; i < 20; ++i) CHECK(out[i] == (i % 2 ? 31 - i : 0));
  for (uint32_t t = 0; t < 32; ++t) CHECK(out[32 + t] == 32);
}

/// Code after an if is run by all lanes together, also when one side returns.
void lanes_reconverge_after_an_if(Path path) {
  const char* body = R"(
define void @k(ptr addrspace(1) %out, i32 %t) {
  %gone = icmp ugt i32 %t, 25
  br i1 %gone, label %leave, label %stay
stay:
  %low = icmp ult i32 %t, 10
  br i1 %low, label %a, label %b
a:
  %x = call i32 @air.simd_sum.u.i32(i32 1) #0
  br label %join
b:
  %y = call i32 @air.simd_sum.u.i32(i32 2) #0
  br label %join
join:
  %v = phi i32 [ %x, %a ], [ %y, %b ]
  %all = call i32 @air.simd_sum.u.i32(i32 %v) #0
  %w = zext i32 %t to i64
  %p = getelementptr i32, ptr addrspace(1) %out, i64 %w
  store i32 %all, ptr addrspace(1) %p
  br label %leave
leave:
  ret void
})";
  Words out = run(path, body, out_and_index, Words(32), Grid{{32, 1, 1}, {32, 1, 1}});
  for (uint32_t t = 0; t < 32; ++t) CHECK(out[t] == (t <= 25 ? 10 * 10 + 16 * 32 : 0));
}

const std::vector<std::string> out_group_lane = {buffer_argument(0, 0, 1),
                                                 builtin_argument(1, "thread_index_in_threadgroup"),
                                                 builtin_argument(2, "threads_per_threadgroup")};

/// Reverses the threadgroup through a static array, then through [[threadgroup(0)]].
void barriers_order_threadgroup_memory(Path path) {
  const char* body = R"(
@a = internal addrspace(3) global [256 x i32] undef, align 4
@pad = internal addrspace(3) global i8 undef, align 1
define void @k(ptr addrspace(1) %out, i32 %t, i32 %n, ptr addrspace(3) %b) {
  %w = zext i32 %t to i64
  %m = sub i32 %n, 1
  %r = sub i32 %m, %t
  %wr = zext i32 %r to i64
  %pa = getelementptr [256 x i32], ptr addrspace(3) @a, i64 0, i64 %w
  %value = mul i32 %t, 3
  store i32 %value, ptr addrspace(3) %pa
  store i8 1, ptr addrspace(3) @pad
  call void @air.wg.barrier(i32 2, i32 1) #1
  %qa = getelementptr [256 x i32], ptr addrspace(3) @a, i64 0, i64 %wr
  %x = load i32, ptr addrspace(3) %qa
  %pb = getelementptr i32, ptr addrspace(3) %b, i64 %wr
  store i32 %x, ptr addrspace(3) %pb
  call void @air.wg.barrier(i32 2, i32 1) #1
  %qb = getelementptr i32, ptr addrspace(3) %b, i64 %w
  %y = load i32, ptr addrspace(3) %qb
  %p = getelementptr i32, ptr addrspace(1) %out, i64 %w
  store i32 %y, ptr addrspace(1) %p
  ret void
})";
  auto arguments = out_group_lane;
  arguments.push_back(buffer_argument(3, 0, 3));
  for (uint32_t n : {1u, 31u, 64u, 200u, 256u}) {
    Words out = run(path, body, arguments, Words(256), Grid{{n, 1, 1}, {n, 1, 1}, 1024});
    for (uint32_t t = 0; t < n; ++t) CHECK(out[t] == 3 * t);
  }
}

/// AIR.md 8.2: the barrier inside the if of one lane counts for its simdgroup; a simdgroup that has
/// returned is not waited for; lanes that have returned are not waited for.
void barriers_count_simdgroups(Path path) {
  const char* body = R"(
@sums = internal addrspace(3) global [32 x i32] undef, align 4
define void @k(ptr addrspace(1) %out, i32 %t, i32 %n) {
  %simdgroup = lshr i32 %t, 5
  %lane = and i32 %t, 31
  %third = icmp eq i32 %simdgroup, 3
  br i1 %third, label %leave, label %stay
stay:
  %late = icmp ugt i32 %lane, 20
  br i1 %late, label %leave, label %sum
sum:
  %s = call i32 @air.simd_sum.u.i32(i32 %t) #0
  %first = icmp eq i32 %lane, 0
  br i1 %first, label %one, label %all
one:
  %ws = zext i32 %simdgroup to i64
  %ps = getelementptr [32 x i32], ptr addrspace(3) @sums, i64 0, i64 %ws
  store i32 %s, ptr addrspace(3) %ps
  call void @air.wg.barrier(i32 0, i32 1) #1
  br label %all
all:
  %w0 = load i32, ptr addrspace(3) @sums
  %p1 = getelementptr [32 x i32], ptr addrspace(3) @sums, i64 0, i64 1
  %w1 = load i32, ptr addrspace(3) %p1
  %p2 = getelementptr [32 x i32], ptr addrspace(3) @sums, i64 0, i64 2
  %w2 = load i32, ptr addrspace(3) %p2
  %u = add i32 %w0, %w1
  %v = add i32 %u, %w2
  %w = zext i32 %t to i64
  %p = getelementptr i32, ptr addrspace(1) %out, i64 %w
  store i32 %v, ptr addrspace(1) %p
  br label %leave
leave:
  ret void
})";
  Words out = run(path, body, out_group_lane, Words(128), Grid{{128, 1, 1}, {128, 1, 1}});
  uint32_t total = 0;
  for (uint32_t t = 0; t < 96; ++t)
    if (t % 32 <= 20) total += t;
  for (uint32_t t = 0; t < 128; ++t) CHECK(out[t] == (t < 96 && t % 32 <= 20 ? total : 0));
}

/// Barriers in a loop whose trip count differs between simdgroups.
void simdgroups_leave_a_barrier_loop_one_by_one(Path path) {
  const char* body = R"(
@count = internal addrspace(3) global [32 x i32] zeroinitializer, align 4
define void @k(ptr addrspace(1) %out, i32 %t, i32 %n) {
entry:
  %simdgroup = lshr i32 %t, 5
  %ws = zext i32 %simdgroup to i64
  %ps = getelementptr [32 x i32], ptr addrspace(3) @count, i64 0, i64 %ws
  br label %loop
loop:
  %i = phi i32 [ 0, %entry ], [ %next, %loop ]
  %sum = phi i32 [ 0, %entry ], [ %more, %loop ]
  %mark = add i32 %i, 1
  store i32 %mark, ptr addrspace(3) %ps
  call void @air.wg.barrier(i32 2, i32 1) #1
  %p3 = getelementptr [32 x i32], ptr addrspace(3) @count, i64 0, i64 3
  %v = load i32, ptr addrspace(3) %p3
  %more = add i32 %sum, %v
  call void @air.wg.barrier(i32 2, i32 1) #1
  %next = add i32 %i, 1
  %again = icmp ule i32 %next, %simdgroup
  br i1 %again, label %loop, label %done
done:
  %w = zext i32 %t to i64
  %p = getelementptr i32, ptr addrspace(1) %out, i64 %w
  store i32 %more, ptr addrspace(1) %p
  ret void
})";
  Words out = run(path, body, out_group_lane, Words(128), Grid{{128, 1, 1}, {128, 1, 1}});
  for (uint32_t t = 0; t < 128; ++t) {
    uint32_t s = t / 32, expected = (s + 1) * (s + 2) / 2;
    CHECK(out[t] == expected);
  }
}

}  // namespace

int main() {
  for (Path path : both_paths) {
    lanes_of_different_rounds_do_not_mix(path);
    exits_wait_for_the_loop(path);
    lanes_reconverge_after_an_if(path);
    barriers_order_threadgroup_memory(path);
    barriers_count_simdgroups(path);
    simdgroups_leave_a_barrier_loop_one_by_one(path);
  }
  return report();
}
