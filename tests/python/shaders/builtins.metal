// SPDX-License-Identifier: MIT
// The positions that a thread can ask for agree with each other.
// groups: 3 2  group: 8 10
// out: uint32 480
// expect: [1] * 480
#include <metal_stdlib>
using namespace metal;

kernel void run(device uint* out [[buffer(0)]], uint2 p [[thread_position_in_grid]],
                ushort2 local [[thread_position_in_threadgroup]],
                uint2 group [[threadgroup_position_in_grid]],
                ushort2 size [[threads_per_threadgroup]], uint2 groups [[threadgroups_per_grid]],
                uint2 grid [[threads_per_grid]], ushort index [[thread_index_in_threadgroup]],
                ushort lane [[thread_index_in_simdgroup]],
                ushort simd [[simdgroup_index_in_threadgroup]],
                uint simds [[simdgroups_per_threadgroup]], uint width [[threads_per_simdgroup]]) {
  bool good = all(p == group * uint2(size) + uint2(local)) && all(size == ushort2(8, 10)) &&
              all(groups == uint2(3, 2)) && all(grid == uint2(24, 20)) &&
              index == local.y * 8 + local.x && lane == index % 32 && simd == index / 32 &&
              simds == 3 && width == 32;
  out[p.y * 24 + p.x] = good;
}
