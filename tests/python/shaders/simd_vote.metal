// SPDX-License-Identifier: MIT
// Votes, ballots and broadcasts, in and out of a branch.
// threads: 32  group: 32
// out: uint32 7
// expect: [1, 0, 1, sum(1 << i for i in range(0, 32, 3)), 17, 10, 22]
#include <metal_stdlib>
using namespace metal;

kernel void run(device uint* out [[buffer(0)]], ushort lane [[thread_index_in_simdgroup]]) {
  bool all_small = simd_all(lane < 32), all_even = simd_all(lane % 2 == 0);
  bool any_last = simd_any(lane == 31);
  simd_vote vote = simd_ballot(lane % 3 == 0);
  uint from17 = simd_broadcast(uint(lane), ushort(17));
  uint first = 0, count = 0;
  if (lane >= 10) {
    first = simd_broadcast_first(uint(lane));
    count = simd_sum(1u);
  }
  if (lane == 10) {
    out[0] = all_small;
    out[1] = all_even;
    out[2] = any_last;
    out[3] = uint(ulong(vote));
    out[4] = from17;
    out[5] = first;
    out[6] = count;
  }
}
