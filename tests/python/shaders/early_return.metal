// SPDX-License-Identifier: MIT
// Threads that return early leave memory alone; the others go on.
// threads: 70  group: 32
// out: uint32 70
// expect: [0 if i % 5 == 2 else (i if i < 50 else i + 1000) for i in range(70)]
#include <metal_stdlib>
using namespace metal;

kernel void run(device uint* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  if (i % 5 == 2) return;
  if (i < 50) {
    out[i] = i;
    return;
  }
  out[i] = i + 1000;
}
