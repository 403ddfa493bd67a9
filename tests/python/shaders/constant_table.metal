// SPDX-License-Identifier: MIT
// A table in constant memory, read with a different index per lane.
// threads: 32  group: 32
// out: uint32 32
// expect: [[2, 3, 5, 7, 11, 13, 17, 19][i * 3 % 8] for i in range(32)]
#include <metal_stdlib>
using namespace metal;

constant uint primes[8] = {2, 3, 5, 7, 11, 13, 17, 19};

kernel void run(device uint* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  out[i] = primes[i * 3 % 8];
}
