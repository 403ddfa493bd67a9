// SPDX-License-Identifier: MIT
// A kernel that declares how many threads a group of it may have.
// groups: 2  group: 64
// out: uint32 128
// expect: range(128)
#include <metal_stdlib>
using namespace metal;

[[max_total_threads_per_threadgroup(64)]] kernel void run(device uint* out [[buffer(0)]],
                                                          uint i [[thread_position_in_grid]]) {
  out[i] = i;
}
