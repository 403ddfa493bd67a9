// SPDX-License-Identifier: MIT
// Numbers of 4 and 2 bits beside masks that reach over a byte, and lookups in tables of 16 entries
// whose index has bits above the fourth.
// threads: 64  group: 64
// in: uint8 np.arange(256) * 37 % 251
// out: uint32 256
// expect: np.concatenate([[A[t // 2] >> 4 * (t % 2) & 15, (A[t // 4] >> 2 * (t % 4) & 3) * 3,
//   A[t // 2] >> 4 * (t % 2) & 31, ((A[t // 2] >> 4 * (t % 2) & 31) % 16) * 5 + 7]
//   for t in range(64)]).astype(np.uint32)
#include <metal_stdlib>
using namespace metal;

kernel void run(device uint* out [[buffer(0)]], const device uchar* in [[buffer(1)]],
                uint t [[thread_position_in_grid]], ushort lane [[thread_index_in_simdgroup]]) {
  const uint four = in[t >> 1] >> (4 * (t & 1));
  const uint two = in[t >> 2] >> (2 * (t & 3));
  const uint table = (lane & 15) * 5 + 7;
  out[4 * t] = four & 15;
  out[4 * t + 1] = (two & 3) * 3;
  out[4 * t + 2] = four & 31;
  out[4 * t + 3] = simd_shuffle(table, ushort(four & 31));
}
