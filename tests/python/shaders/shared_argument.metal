// SPDX-License-Identifier: MIT
// Threadgroup memory given as an argument, beside a static array.
// groups: 2  group: 64
// threadgroup: 256
// out: uint32 128
// expect: [g * 64 + (i + 33) % 64 + 1000 * ((i + 1) % 64) for g in range(2) for i in range(64)]
#include <metal_stdlib>
using namespace metal;

kernel void run(device uint* out [[buffer(0)]], threadgroup uint* given [[threadgroup(0)]],
                uint i [[thread_position_in_grid]], uint local [[thread_position_in_threadgroup]]) {
  threadgroup ushort fixed[64];
  given[local] = i;
  fixed[local] = local;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[i] = given[(local + 33) % 64] + 1000 * fixed[(local + 1) % 64];
}
