// SPDX-License-Identifier: MIT
// Bitwise reductions and the reductions of small integers.
// threads: 32  group: 32
// out: uint32 5
// expect: [0, 0x1f, 0, 31 * 16, 31]
#include <metal_stdlib>
using namespace metal;

kernel void run(device uint* out [[buffer(0)]], uint lane [[thread_index_in_simdgroup]]) {
  uint conjunction = simd_and(lane), disjunction = simd_or(lane), parity = simd_xor(lane);
  uint sum = simd_sum(ushort(lane)), top = simd_max(int(lane) - 40) + 40;
  if (lane == 0) {
    out[0] = conjunction;
    out[1] = disjunction;
    out[2] = parity;
    out[3] = sum;
    out[4] = top;
  }
}
