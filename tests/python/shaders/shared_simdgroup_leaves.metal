// SPDX-License-Identifier: MIT
// A simdgroup ends before a barrier that the others still reach.
// threads: 128  group: 128
// out: uint32 128
// expect: [0 if i >= 96 else (i + 32) % 96 for i in range(128)]
#include <metal_stdlib>
using namespace metal;

kernel void run(device uint* out [[buffer(0)]], uint i [[thread_position_in_grid]],
                uint simd [[simdgroup_index_in_threadgroup]]) {
  threadgroup uint tile[96];
  if (simd == 3) return;
  tile[i] = i;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[i] = tile[(i + 32) % 96];
}
