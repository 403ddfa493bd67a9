// SPDX-License-Identifier: MIT
// Shuffles of half, of a vector and of a short.
// threads: 32  group: 32
// out: float32 96
// expect: [f for i in range(32) for f in ((i ^ 1) / 4, (i ^ 1) + 0.5, -(i ^ 1))]
#include <metal_stdlib>
using namespace metal;

kernel void run(device float* out [[buffer(0)]], ushort lane [[thread_index_in_simdgroup]]) {
  half h = simd_shuffle_xor(half(lane) / 4, ushort(1));
  float2 v = simd_shuffle_xor(float2(lane, lane + 0.5f), ushort(1));
  short s = simd_shuffle_xor(short(-short(lane)), ushort(1));
  out[lane * 3] = h;
  out[lane * 3 + 1] = v.y;
  out[lane * 3 + 2] = s;
}
