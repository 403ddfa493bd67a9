// SPDX-License-Identifier: MIT
// A static threadgroup array turned round across a barrier.
// groups: 3  group: 100
// out: uint32 300
// expect: [g * 100 + 99 - i for g in range(3) for i in range(100)]
#include <metal_stdlib>
using namespace metal;

kernel void run(device uint* out [[buffer(0)]], uint i [[thread_position_in_grid]],
                uint local [[thread_position_in_threadgroup]]) {
  threadgroup uint tile[100];
  tile[local] = i;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[i] = tile[99 - local];
}
