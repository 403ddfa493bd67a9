// SPDX-License-Identifier: MIT
// Half matrices that multiply into a float accumulator, with a stride and an origin.
// threads: 32  group: 32
// in: float16 np.arange(256) % 11 - 5
// out: float32 64
// expect: A.reshape(16, 16)[8:, :8].astype(np.float32) @ A.reshape(16, 16)[8:,
// 8:].astype(np.float32)
#include <metal_simdgroup_matrix>
#include <metal_stdlib>
using namespace metal;

kernel void run(device float* out [[buffer(0)]], device const half* in [[buffer(1)]]) {
  simdgroup_half8x8 a, b;
  simdgroup_float8x8 c = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
  simdgroup_load(a, in, 16, ulong2(0, 8));
  simdgroup_load(b, in, 16, ulong2(8, 8));
  simdgroup_multiply_accumulate(c, a, b, c);
  simdgroup_store(c, out, 8);
}
