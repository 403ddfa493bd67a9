// SPDX-License-Identifier: MIT
// Elements of 8 and 16 bits that only some lanes load and store, in no regular pattern: the others'
// places keep what they hold.
// threads: 150  group: 64
// in: uint8 (np.arange(150) * 89 + 7) % 256
// in: float16 np.where(np.arange(150) % 7 == 3, np.nan, np.arange(150) * 0.5 - 20)
// out: float16 450
// expect: [v for i in range(150) for v in ((0, 0, 0) if A[i] % 3 == 1 or i > 140 else
// (A[i] >> 1, 2 * B[i] if i % 7 != 3 else -1, A[i] - 100.0))]
#include <metal_stdlib>
using namespace metal;

kernel void run(device half* out [[buffer(0)]], device const uchar* a [[buffer(1)]],
                device const half* b [[buffer(2)]], uint i [[thread_position_in_grid]],
                uint t [[thread_position_in_threadgroup]]) {
  threadgroup half halves[64];
  threadgroup uchar bytes[64];
  threadgroup char less[64];
  if (i > 140 || a[i] % 3 == 1) return;
  bytes[t] = a[i] / 2;
  less[t] = char(a[i] - 100 > 127 ? 127 : a[i] - 100);
  if (i % 7 != 3)
    halves[t] = b[i] + b[i];
  else
    halves[t] = -1.0h;
  out[i * 3] = half(bytes[t]);
  out[i * 3 + 1] = halves[t];
  out[i * 3 + 2] = a[i] - 100 > 127 ? half(a[i] - 100) : half(less[t]);
}
