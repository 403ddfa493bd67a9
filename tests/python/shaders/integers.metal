// SPDX-License-Identifier: MIT
// Bit counting, rotation, high products, 64-bit arithmetic.
// threads: 40  group: 32
// out: uint32 200
// expect: [f for x in ((i * 2654435761 + 12345) % 2**32 for i in range(40)) for f in
// (bin(x).count('1'), 32 - x.bit_length(), ((x << 7) | (x >> 25)) % 2**32, x * 4000000007 >> 32, x
// * x * 5 >> 32 & 0xffffffff)]
#include <metal_stdlib>
using namespace metal;

kernel void run(device uint* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  uint x = i * 2654435761u + 12345u;
  device uint* row = out + i * 5;
  row[0] = popcount(x);
  row[1] = clz(x);
  row[2] = rotate(x, 7u);
  row[3] = mulhi(x, 4000000007u);
  row[4] = uint((ulong(x) * ulong(x) * 5ul) >> 32);
}
