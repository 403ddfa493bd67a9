// SPDX-License-Identifier: MIT
// Lanes of one simdgroup take different sides of a branch.
// threads: 64  group: 64
// out: int32 64
// expect: [i * 3 if i % 3 == 0 else -i for i in range(64)]
#include <metal_stdlib>
using namespace metal;

kernel void run(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  if (i % 3 == 0) {
    out[i] = int(i) * 3;
  } else {
    out[i] = -int(i);
  }
}
