// SPDX-License-Identifier: MIT
// A loop of compare-and-exchange, contended by every lane: each factor lands exactly once.
// threads: 64  group: 64
// out: uint32 1
// expect: [pow(3, 64, 2**32) * 1]
#include <metal_stdlib>
using namespace metal;

kernel void run(device atomic_uint* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  if (i == 0) atomic_store_explicit(out, 1, memory_order_relaxed);
  threadgroup_barrier(mem_flags::mem_device);
  uint expected = atomic_load_explicit(out, memory_order_relaxed);
  while (!atomic_compare_exchange_weak_explicit(out, &expected, expected * 3, memory_order_relaxed,
                                                memory_order_relaxed)) {
  }
}
