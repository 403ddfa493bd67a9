// SPDX-License-Identifier: MIT
// Rows of halves and bytes go through threadgroup memory and back, element by element; what is
// written between two reads of the same element is seen by the second.
// threads: 64  group: 32
// in: float16 [i % 301 for i in range(64 * 6)]
// in: uint8 [(5 * i) % 256 for i in range(64 * 6)]
// out: float32 384
// expect: [float(A[(i // 32 * 32 + (i + 1) % 32) * 6 + j]) + int(B[6 * i + 5 - j]) + (1000 if j ==
// 2 else 0)
//   for i in range(64) for j in range(6)]
#include <metal_stdlib>
using namespace metal;

kernel void run(device float* out [[buffer(0)]], device const half* a [[buffer(1)]],
                device const uchar* b [[buffer(2)]], uint i [[thread_position_in_grid]],
                uint lane [[thread_index_in_threadgroup]]) {
  threadgroup half rows[32 * 6];
  threadgroup uchar bytes[32 * 6];
  for (int j = 0; j < 6; ++j) {
    rows[6 * lane + j] = a[6 * i + j];
    bytes[6 * lane + 5 - j] = b[6 * i + j];
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  uint next = (lane + 1) % 32;
  for (int j = 0; j < 6; ++j) out[6 * i + j] = float(rows[6 * next + j]);
  float before = out[6 * i + 2];
  out[6 * i + 2] = before + 1000;
  for (int j = 0; j < 6; ++j) out[6 * i + j] = out[6 * i + j] + bytes[6 * lane + j];
}
