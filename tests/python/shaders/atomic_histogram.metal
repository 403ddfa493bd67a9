// SPDX-License-Identifier: MIT
// A histogram in threadgroup memory, merged into the device's.
// threads: 500  group: 128
// in: uint32 np.arange(500) * 7 % 10
// out: uint32 10
// expect: np.bincount(A, minlength=10)
#include <metal_stdlib>
using namespace metal;

kernel void run(device atomic_uint* out [[buffer(0)]], device const uint* in [[buffer(1)]],
                uint i [[thread_position_in_grid]], uint local [[thread_position_in_threadgroup]]) {
  threadgroup atomic_uint bins[10];
  if (local < 10) atomic_store_explicit(&bins[local], 0, memory_order_relaxed);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  atomic_fetch_add_explicit(&bins[in[i]], 1, memory_order_relaxed);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (local < 10) {
    uint count = atomic_load_explicit(&bins[local], memory_order_relaxed);
    atomic_fetch_add_explicit(&out[local], count, memory_order_relaxed);
  }
}
