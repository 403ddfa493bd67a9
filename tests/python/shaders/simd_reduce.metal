// SPDX-License-Identifier: MIT
// Sum, product, minimum and maximum over a simdgroup.
// threads: 64  group: 64
// in: float32 np.arange(64) % 7 - 3
// out: float32 8
// expect: [f for b in (0, 32) for f in (A[b:b+32].sum(), A[b:b+32].min(),
// A[b:b+32].max(), 2.0**16)]
#include <metal_stdlib>
using namespace metal;

kernel void run(device float* out [[buffer(0)]], device const float* in [[buffer(1)]],
                uint i [[thread_position_in_grid]], uint lane [[thread_index_in_simdgroup]],
                uint simd [[simdgroup_index_in_threadgroup]]) {
  float x = in[i];
  float4 result = {simd_sum(x), simd_min(x), simd_max(x), simd_product(i & 1 ? 2.0f : 1.0f)};
  if (lane < 4) out[simd * 4 + lane] = result[lane];
}
