// SPDX-License-Identifier: MIT
// One lane of each threadgroup spins on a lock of the whole grid; what it guards is counted right.
// groups: 200  group: 64
// out: uint32 2
// expect: [200, 0]
#include <metal_stdlib>
using namespace metal;

kernel void run(device atomic_uint* out [[buffer(0)]], uint lane [[thread_index_in_threadgroup]]) {
  if (lane == 0) {
    uint unlocked = 0;
    while (!atomic_compare_exchange_weak_explicit(&out[1], &unlocked, 1u, memory_order_relaxed,
                                                  memory_order_relaxed))
      unlocked = 0;
    uint count = atomic_load_explicit(&out[0], memory_order_relaxed);
    atomic_store_explicit(&out[0], count + 1, memory_order_relaxed);
    atomic_store_explicit(&out[1], 0u, memory_order_relaxed);
  }
}
