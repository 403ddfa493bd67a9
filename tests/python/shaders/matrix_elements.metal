// SPDX-License-Identifier: MIT
// Where the two elements of each lane sit in an 8x8 matrix.
// threads: 32  group: 32
// in: float32 np.arange(64)
// out: float32 64
// expect: [e for i in range(32) for e in ((i // 4 & 4) + i // 2 % 4,) for c in ((i // 4 & 2) * 2 +
// i % 2 * 2,) for e in (e * 8 + c, e * 8 + c + 1)]
#include <metal_simdgroup_matrix>
#include <metal_stdlib>
using namespace metal;

kernel void run(device float* out [[buffer(0)]], device const float* in [[buffer(1)]],
                uint lane [[thread_index_in_simdgroup]]) {
  simdgroup_float8x8 m;
  simdgroup_load(m, in, 8);
  out[lane * 2] = m.thread_elements()[0];
  out[lane * 2 + 1] = m.thread_elements()[1];
}
