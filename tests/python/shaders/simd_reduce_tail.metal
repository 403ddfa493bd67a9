// SPDX-License-Identifier: MIT
// The missing lanes of the last simdgroup take no part in a reduction.
// threads: 70  group: 70
// in: int32 np.arange(70) + 1
// out: int32 9
// expect: [x for s in (A[:32], A[32:64], A[64:]) for x in (s.sum(), s.min(), s.max())]
#include <metal_stdlib>
using namespace metal;

kernel void run(device int* out [[buffer(0)]], device const int* in [[buffer(1)]],
                uint i [[thread_position_in_grid]], uint lane [[thread_index_in_simdgroup]],
                uint simd [[simdgroup_index_in_threadgroup]]) {
  int3 result = {simd_sum(in[i]), simd_min(in[i]), simd_max(in[i])};
  if (lane < 3) out[simd * 3 + lane] = result[lane];
}
