// SPDX-License-Identifier: MIT
// Divergent branches inside divergent branches, with a value that meets again at the end.
// threads: 96  group: 32
// out: uint32 96
// expect: [(3 if i & 4 else 2) * i if i & 1 else (5 if i > 40 else 7) + i for i in range(96)]
#include <metal_stdlib>
using namespace metal;

kernel void run(device uint* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  uint value;
  if (i & 1) {
    uint factor = 2;
    if (i & 4) factor = 3;
    value = factor * i;
  } else {
    value = i;
    if (i > 40) {
      value += 5;
    } else {
      value += 7;
    }
  }
  out[i] = value;
}
