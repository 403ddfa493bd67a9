// SPDX-License-Identifier: MIT
// break and continue under a divergent condition.
// threads: 64  group: 64
// out: uint32 64
// expect: [sum(k for k in range(min(i, 20)) if k % 3) for i in range(64)]
#include <metal_stdlib>
using namespace metal;

kernel void run(device uint* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  uint sum = 0;
  for (uint k = 0; k < i; ++k) {
    if (k >= 20) break;
    if (k % 3 == 0) continue;
    sum += k;
  }
  out[i] = sum;
}
