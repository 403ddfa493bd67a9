// SPDX-License-Identifier: MIT
// A pointer that differs per lane, into either of two buffers.
// threads: 32  group: 32
// in: float32 np.arange(32)
// in: float32 np.arange(32) * 10
// out: float32 32
// expect: [A[i] if i % 3 else B[31 - i] for i in range(32)]
#include <metal_stdlib>
using namespace metal;

kernel void run(device float* out [[buffer(0)]], device const float* a [[buffer(1)]],
                device const float* b [[buffer(2)]], uint i [[thread_position_in_grid]]) {
  device const float* p = i % 3 ? a + i : b + (31 - i);
  out[i] = *p;
}
