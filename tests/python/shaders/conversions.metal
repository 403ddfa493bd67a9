// SPDX-License-Identifier: MIT
// Conversions between integers and floats, and reinterpretation of bits.
// threads: 32  group: 32
// in: float32 np.linspace(-9.75, 9.75, 32)
// out: int32 128
// expect: [f for x in A for f in (int(x), int(np.float32(x).view(np.int32)), int(abs(x)) & 0xff,
// int(np.rint(x)))]
#include <metal_stdlib>
using namespace metal;

kernel void run(device int* out [[buffer(0)]], device const float* in [[buffer(1)]],
                uint i [[thread_position_in_grid]]) {
  float x = in[i];
  out[i * 4] = int(x);
  out[i * 4 + 1] = as_type<int>(x);
  out[i * 4 + 2] = uchar(abs(x));
  out[i * 4 + 3] = int(rint(x));
}
