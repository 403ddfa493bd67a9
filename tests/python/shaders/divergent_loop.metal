// SPDX-License-Identifier: MIT
// Each lane leaves the loop after its own number of rounds (the Collatz sequence).
// threads: 100  group: 32
// out: uint32 100
// expect: [collatz(i + 1) for i in range(100)]
#include <metal_stdlib>
using namespace metal;

kernel void run(device uint* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  uint n = i + 1, steps = 0;
  while (n != 1) {
    n = (n & 1) ? 3 * n + 1 : n / 2;
    ++steps;
  }
  out[i] = steps;
}
