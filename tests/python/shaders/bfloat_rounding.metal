// SPDX-License-Identifier: MIT
// bfloat converts and rounds to nearest even.
// threads: 64  group: 32
// in: float32 np.linspace(-3, 3, 64) * np.pi
// out: bfloat16 64
// expect: A.astype(bfloat16)
#include <metal_stdlib>
using namespace metal;

kernel void run(device bfloat* out [[buffer(0)]], device const float* in [[buffer(1)]],
                uint i [[thread_position_in_grid]]) {
  out[i] = bfloat(in[i]);
}
