// SPDX-License-Identifier: MIT
// Shuffles: by index, xor, up, down and rotations.
// threads: 32  group: 32
// out: uint32 192
// expect: [f(i) for f in (lambda i: (i * 7 + 3) % 32 + 100, lambda i: (i ^ 5) + 100, lambda i: i -
// 3 + 100 if i > 2 else 0, lambda i: i + 3 + 100 if i < 29 else 0, lambda i: (i + 5) % 32 + 100,
// lambda i: (i - 5) % 32 + 100) for i in range(32)]
#include <metal_stdlib>
using namespace metal;

kernel void run(device uint* out [[buffer(0)]], ushort lane [[thread_index_in_simdgroup]]) {
  uint x = lane + 100;
  uint up = simd_shuffle_up(x, ushort(3)), down = simd_shuffle_down(x, ushort(3));
  out[lane] = simd_shuffle(x, ushort((lane * 7 + 3) % 32));
  out[32 + lane] = simd_shuffle_xor(x, ushort(5));
  out[64 + lane] = lane > 2 ? up : 0;
  out[96 + lane] = lane < 29 ? down : 0;
  out[128 + lane] = simd_shuffle_rotate_down(x, ushort(5));
  out[160 + lane] = simd_shuffle_rotate_up(x, ushort(5));
}
