// SPDX-License-Identifier: MIT
// Functions of <metal_math> against the C library's.
// threads: 64  group: 32
// in: float32 np.linspace(0.1, 4, 64)
// out: float32 512
// tolerance: 16
// expect: np.stack([f(A.astype(np.float64)) for f in (np.exp, np.log, np.sin, np.cos, np.tanh,
// np.sqrt, lambda x: x**1.5, np.exp2)], 1)
#include <metal_stdlib>
using namespace metal;

kernel void run(device float* out [[buffer(0)]], device const float* in [[buffer(1)]],
                uint i [[thread_position_in_grid]]) {
  float x = in[i];
  device float* row = out + i * 8;
  row[0] = precise::exp(x);
  row[1] = precise::log(x);
  row[2] = precise::sin(x);
  row[3] = precise::cos(x);
  row[4] = precise::tanh(x);
  row[5] = precise::sqrt(x);
  row[6] = precise::pow(x, 1.5f);
  row[7] = precise::exp2(x);
}
