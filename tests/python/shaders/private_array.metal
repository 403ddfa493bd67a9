// SPDX-License-Identifier: MIT
// A private array indexed by a value that differs per lane.
// threads: 64  group: 32
// out: uint32 64
// expect: [(i * 5 % 16) ** 2 + 1 for i in range(64)]
#include <metal_stdlib>
using namespace metal;

kernel void run(device uint* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  uint table[16];
  for (uint k = 0; k < 16; ++k) table[k] = k * k;
  table[i % 16] += 100;
  table[(i * 5) % 16] += 1;
  if ((i * 5) % 16 == i % 16) table[i % 16] -= 100;
  out[i] = table[(i * 5) % 16];
}
