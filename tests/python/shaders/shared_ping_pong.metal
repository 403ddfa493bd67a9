// SPDX-License-Identifier: MIT
// Neighbours exchange values several times through one array.
// threads: 96  group: 96
// out: uint32 96
// expect: [(i + 10) % 96 for i in range(96)]
#include <metal_stdlib>
using namespace metal;

kernel void run(device uint* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  threadgroup uint ring[96];
  uint value = i;
  for (uint round = 0; round < 10; ++round) {
    ring[i] = value;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    value = ring[(i + 1) % 96];
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
  out[i] = value;
}
