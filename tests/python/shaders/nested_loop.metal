// SPDX-License-Identifier: MIT
// A divergent loop inside a divergent loop; the inner count depends on the outer one.
// threads: 48  group: 32
// out: uint32 48
// expect: [sum(a * b for a in range(i % 7) for b in range(a)) for i in range(48)]
#include <metal_stdlib>
using namespace metal;

kernel void run(device uint* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  uint sum = 0;
  for (uint a = 0; a < i % 7; ++a) {
    for (uint b = 0; b < a; ++b) sum += a * b;
  }
  out[i] = sum;
}
