// SPDX-License-Identifier: MIT
// The other atomic operations, and the old value each returns.
// threads: 32  group: 32
// in: int32 [100, 100, -1, 0, 0, 50]
// out: int32 38
// expect: [0, 131, 0, 0x1f, 0, 496 + 50, *(sorted(range(50, 82)))]
#include <metal_stdlib>
using namespace metal;

kernel void run(device int* out [[buffer(0)]], device atomic_int* state [[buffer(1)]],
                uint i [[thread_position_in_grid]]) {
  atomic_fetch_min_explicit(&state[0], int(i), memory_order_relaxed);
  atomic_fetch_max_explicit(&state[1], int(i) + 100, memory_order_relaxed);
  atomic_fetch_and_explicit(&state[2], int(i), memory_order_relaxed);
  atomic_fetch_or_explicit(&state[3], int(i), memory_order_relaxed);
  atomic_fetch_xor_explicit(&state[4], int(i), memory_order_relaxed);
  int ticket = atomic_fetch_add_explicit(&state[5], 1, memory_order_relaxed);
  out[6 + ticket - 50] = ticket;
  threadgroup_barrier(mem_flags::mem_device);
  if (i < 5) out[i] = atomic_load_explicit(&state[i], memory_order_relaxed);
  if (i == 5) {
    atomic_store_explicit(&state[5], 546, memory_order_relaxed);
    out[5] = atomic_exchange_explicit(&state[5], 0, memory_order_relaxed);
  }
}
