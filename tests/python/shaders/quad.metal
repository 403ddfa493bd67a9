// SPDX-License-Identifier: MIT
// Quad functions work on groups of four lanes.
// threads: 32  group: 32
// out: uint32 96
// expect: [f for i in range(32) for f in (4 * (i // 4 * 4) + 6, i ^ 2, i // 4 * 4 + 1)]
#include <metal_stdlib>
using namespace metal;

kernel void run(device uint* out [[buffer(0)]], uint lane [[thread_index_in_simdgroup]]) {
  out[lane * 3] = quad_sum(lane);
  out[lane * 3 + 1] = quad_shuffle_xor(lane, ushort(2));
  out[lane * 3 + 2] = quad_broadcast(lane, ushort(1));
}
