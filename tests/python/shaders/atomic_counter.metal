// SPDX-License-Identifier: MIT
// Every thread of every group adds to the same words.
// threads: 1000  group: 128
// out: uint32 3
// expect: [1000, sum(range(1000)), 999]
#include <metal_stdlib>
using namespace metal;

kernel void run(device atomic_uint* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  atomic_fetch_add_explicit(&out[0], 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&out[1], i, memory_order_relaxed);
  atomic_fetch_max_explicit(&out[2], i, memory_order_relaxed);
}
