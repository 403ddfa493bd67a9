// SPDX-License-Identifier: MIT
// A reduction inside a branch counts the lanes that are there, and no others.
// threads: 32  group: 32
// out: uint32 32
// expect: [sum(range(1, 32, 2)) if i % 2 else 16 for i in range(32)]
#include <metal_stdlib>
using namespace metal;

kernel void run(device uint* out [[buffer(0)]], uint lane [[thread_index_in_simdgroup]]) {
  if (lane & 1) {
    out[lane] = simd_sum(lane);
  } else {
    out[lane] = simd_sum(1u);
  }
}
