// SPDX-License-Identifier: MIT
// One 8x8 product of simdgroup matrices, with a transposed load and an accumulator.
// threads: 32  group: 32
// in: float32 np.arange(64) % 5
// in: float32 np.arange(64) % 7 - 3
// out: float32 64
// expect: A.reshape(8, 8) @ B.reshape(8, 8).T + 2
#include <metal_simdgroup_matrix>
#include <metal_stdlib>
using namespace metal;

kernel void run(device float* out [[buffer(0)]], device const float* a [[buffer(1)]],
                device const float* b [[buffer(2)]]) {
  simdgroup_float8x8 ma, mb, mc = make_filled_simdgroup_matrix<float, 8, 8>(2.0f);
  simdgroup_load(ma, a, 8);
  simdgroup_load(mb, b, 8, ulong2(0, 0), true);
  simdgroup_multiply_accumulate(mc, ma, mb, mc);
  simdgroup_store(mc, out, 8);
}
