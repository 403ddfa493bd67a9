// SPDX-License-Identifier: MIT
// A lane that returns from inside a loop stores nothing afterwards.
// threads: 64  group: 32
// out: int32 64
// expect: [i + 1 if i < 10 else -1 for i in range(64)]
#include <metal_stdlib>
using namespace metal;

kernel void run(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  out[i] = -1;
  for (uint k = 0; k < 10; ++k) {
    if (k == i) {
      out[i] = int(k) + 1;
      return;
    }
  }
}
