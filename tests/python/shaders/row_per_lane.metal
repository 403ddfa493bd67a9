// SPDX-License-Identifier: MIT
// Every lane reads and writes a short row of its own, of elements of 1, 2 and 4 bytes; some lanes
// do not, and what they would have written stays.
// threads: 70  group: 64
// in: uint8 [(7 * i + 3) % 251 for i in range(70 * 7)]
// in: int16 [(31 * i) % 1999 - 1000 for i in range(70 * 5 + 1)]
// in: float32 [i * 0.5 for i in range(70 * 3)]
// out: int32 350
// expect: [v for i in range(70) for v in ([0] * 5 if i % 9 == 4 else
//   [sum(int(x) << j for j, x in enumerate(A[7 * i:7 * i + 7])),
//   sum(int(x) * (j + 1) for j, x in enumerate(B[5 * i + 1:5 * i + 6])), int(B[5 * i]) - int(B[5 *
//   i + 2]), int(2 * (C[3 * i] + C[3 * i + 1] - C[3 * i + 2])), i])]
#include <metal_stdlib>
using namespace metal;

kernel void run(device int* out [[buffer(0)]], device const uchar* a [[buffer(1)]],
                device const short* b [[buffer(2)]], device const float* c [[buffer(3)]],
                uint i [[thread_position_in_grid]]) {
  if (i % 9 == 4) return;
  int bits = 0, sum = 0;
  for (int j = 0; j < 7; ++j) bits += int(a[7 * i + j]) << j;
  for (int j = 0; j < 5; ++j) sum += b[5 * i + 1 + j] * (j + 1);
  out[5 * i] = bits;
  out[5 * i + 1] = sum;
  out[5 * i + 2] = b[5 * i] - b[5 * i + 2];
  out[5 * i + 3] = int(2 * (c[3 * i] + c[3 * i + 1] - c[3 * i + 2]));
  out[5 * i + 4] = i;
}
