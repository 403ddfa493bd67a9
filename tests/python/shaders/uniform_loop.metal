// SPDX-License-Identifier: MIT
// A loop with a uniform count and a value that every lane carries along.
// threads: 33  group: 33
// out: float32 33
// expect: [float(sum((k + i) % 4 for k in range(25))) for i in range(33)]
#include <metal_stdlib>
using namespace metal;

kernel void run(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  float sum = 0;
  for (uint k = 0; k < 25; ++k) sum += float((k + i) % 4);
  out[i] = sum;
}
