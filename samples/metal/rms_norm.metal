// SPDX-License-Identifier: MIT
// Rows of numbers -> the same rows divided by the root of their mean square: one simdgroup a row.
#include <metal_stdlib>
using namespace metal;

constant float given_epsilon [[function_constant(0)]];
constant float epsilon = is_function_constant_defined(given_epsilon) ? given_epsilon : 1e-5f;

kernel void rms_norm(device const half* x [[buffer(0)]], device half* y [[buffer(1)]],
                     constant uint& width [[buffer(2)]], uint row [[threadgroup_position_in_grid]],
                     uint lane [[thread_index_in_simdgroup]]) {
  const ulong start = ulong(row) * width;
  float sum = 0.0f;
  // The counter is the same for all lanes, and neighbouring lanes read neighbouring elements.
  for (uint i = 0; i < width; i += 32) {
    if (i + lane < width) {
      const float value = x[start + i + lane];
      sum += value * value;
    }
  }
  const float factor = rsqrt(simd_sum(sum) / float(width) + epsilon);
  for (uint i = 0; i < width; i += 32) {
    if (i + lane < width) y[start + i + lane] = half(x[start + i + lane] * factor);
  }
}
