// SPDX-License-Identifier: MIT
// min, max, clamp, mix, step, saturate, fma, select, floor, fract, sign.
// threads: 32  group: 32
// in: float32 np.arange(32) / 8 - 2
// out: float32 256
// expect: [f for x in A.astype(float) for f in (min(x, 0.5), max(x, 0.5), min(max(x, -1), 1), 1 +
// (3 - 1) * x, float(x >= 0.5), min(max(x, 0), 1), x * x + 1, np.floor(x))]
#include <metal_stdlib>
using namespace metal;

kernel void run(device float* out [[buffer(0)]], device const float* in [[buffer(1)]],
                uint i [[thread_position_in_grid]]) {
  float x = in[i];
  device float* row = out + i * 8;
  row[0] = min(x, 0.5f);
  row[1] = max(x, 0.5f);
  row[2] = clamp(x, -1.0f, 1.0f);
  row[3] = mix(1.0f, 3.0f, x);
  row[4] = step(0.5f, x);
  row[5] = saturate(x);
  row[6] = fma(x, x, 1.0f);
  row[7] = floor(x);
}
