// SPDX-License-Identifier: MIT
// Matrices that pass through threadgroup memory, one per simdgroup.
// threads: 64  group: 64
// in: float32 np.arange(128) % 9
// out: float32 128
// expect: np.concatenate([(m @ m).ravel() for m in A.reshape(2, 8, 8)])
#include <metal_simdgroup_matrix>
#include <metal_stdlib>
using namespace metal;

kernel void run(device float* out [[buffer(0)]], device const float* in [[buffer(1)]],
                uint i [[thread_position_in_grid]], uint simd [[simdgroup_index_in_threadgroup]]) {
  threadgroup float tile[128];
  tile[i] = in[i];
  tile[i + 64] = in[i + 64];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  simdgroup_float8x8 m, product;
  simdgroup_load(m, tile + simd * 64, 8);
  simdgroup_multiply(product, m, m);
  simdgroup_store(product, out + simd * 64, 8);
}
