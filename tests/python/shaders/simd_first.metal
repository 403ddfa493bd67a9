// SPDX-License-Identifier: MIT
// simd_is_first names one lane, the first that is there.
// threads: 64  group: 64
// out: uint32 64
// expect: [1 if i in (5, 32) else 0 for i in range(64)]
#include <metal_stdlib>
using namespace metal;

kernel void run(device uint* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  if (i >= 5) {
    if (simd_is_first()) out[i] = 1;
  }
}
