// SPDX-License-Identifier: MIT
// Half arithmetic rounds after each operation.
// threads: 64  group: 32
// in: float16 np.linspace(-300, 300, 64)
// out: float16 128
// expect: np.stack([A * A.dtype.type(1.001), A + A.dtype.type(0.1)], 1)
#include <metal_stdlib>
using namespace metal;

kernel void run(device half* out [[buffer(0)]], device const half* in [[buffer(1)]],
                uint i [[thread_position_in_grid]]) {
  out[i * 2] = in[i] * 1.001h;
  out[i * 2 + 1] = in[i] + 0.1h;
}
