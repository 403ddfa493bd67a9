// SPDX-License-Identifier: MIT
// A tree reduction: a barrier in a loop, passed by every simdgroup the same number of times.
// groups: 4  group: 256
// in: float32 np.arange(1024)
// out: float32 4
// expect: A.reshape(4, 256).sum(axis=1)
#include <metal_stdlib>
using namespace metal;

kernel void run(device float* out [[buffer(0)]], device const float* in [[buffer(1)]],
                uint i [[thread_position_in_grid]], uint group [[threadgroup_position_in_grid]],
                uint local [[thread_position_in_threadgroup]]) {
  threadgroup float sums[256];
  sums[local] = in[i];
  for (uint half_size = 128; half_size > 0; half_size /= 2) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (local < half_size) sums[local] += sums[local + half_size];
  }
  if (local == 0) out[group] = sums[0];
}
