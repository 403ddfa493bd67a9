// SPDX-License-Identifier: MIT
// A switch with a fall-through and a default.
// threads: 40  group: 40
// out: uint32 40
// expect: [[1, 12, 2, 99, 99][i % 5] for i in range(40)]
#include <metal_stdlib>
using namespace metal;

kernel void run(device uint* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  uint value = 0;
  switch (i % 5) {
    case 0:
      value = 1;
      break;
    case 1:
      value = 10;
    case 2:
      value += 2;
      break;
    default:
      value = 99;
  }
  out[i] = value;
}
