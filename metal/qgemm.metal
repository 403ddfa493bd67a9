// SPDX-License-Identifier: MIT
// C = activation(alpha * op(A) * op(B) + beta * C + bias) with B quantized; types are function
// constants.
#include "qgemm_matrix.h"
#include "qgemm_vector.h"

kernel void qgemm(const device uchar* A [[buffer(MFA_SLOT_A)]],
                  const device uchar* B [[buffer(MFA_SLOT_B)]],
                  device uchar* C [[buffer(MFA_SLOT_C)]],
                  const device uchar* bias [[buffer(MFA_SLOT_BIAS), function_constant(has_bias)]],
                  const device uchar* scales [[buffer(MFA_SLOT_SCALES)]],
                  const device uchar* zero_points
                  [[buffer(MFA_SLOT_ZERO_POINTS), function_constant(has_zero_points)]],
                  constant mfa_qgemm_parameters& parameters [[buffer(MFA_SLOT_PARAMETERS)]],
                  threadgroup uchar* memory
                  [[threadgroup(MFA_SLOT_TILES), function_constant(tiled)]],
                  uint3 group [[threadgroup_position_in_grid]],
                  ushort simdgroup [[simdgroup_index_in_threadgroup]],
                  ushort lane [[thread_index_in_simdgroup]]) {
  if (!known_format || !(vector_path ? vector_supported : supported && whole_runs)) return;

  const uint M = is_function_constant_defined(fixed_M) ? fixed_M : parameters.M;
  const uint N = is_function_constant_defined(fixed_N) ? fixed_N : parameters.N;
  const uint K = is_function_constant_defined(fixed_K) ? fixed_K : parameters.K;
  const ushort first = 0;
  const mfa_place place = {simdgroups == 1 ? first : simdgroup, simdgroups, lane};
  uint m = group.y * M_group, n = group.x * N_group;
  if (vector_path) {
    // Simdgroups have nothing in common and need not wait for each other.
    m += (place.simdgroup / N_splits) * M_simd;
    n += (place.simdgroup % N_splits) * N_simd;
  }
  if (m >= M || n >= N) return;  // with tiles: the whole threadgroup

  qgemm_block block;
  block.rows = M - m;
  block.columns = N - n;
  block.n = n;
  block.K = K;
  block.lda = parameters.lda;
  block.A = moved(A, group.z * parameters.batch_a + (A_trans ? m : m * block.lda), input_type);
  block.B.packed = B;
  block.B.first = parameters.first_b + group.z * parameters.batch_b;
  block.B.ld = parameters.ldb;
  block.B.ld_scales = parameters.ld_scales;
  block.B.scales = moved(scales, group.z * parameters.batch_scales, weight_type);
  if (has_zero_points)
    block.B.zero_points = moved(zero_points, group.z * parameters.batch_scales, weight_type);

  const uint size = output_type == MFA_TYPE_FLOAT ? 4 : 2;
  gemm_block<uchar> output = {};
  output.rows = block.rows;
  output.columns = block.columns;
  output.alpha = is_function_constant_defined(fixed_alpha) ? fixed_alpha : parameters.alpha;
  output.beta = is_function_constant_defined(fixed_beta) ? fixed_beta : parameters.beta;
  output.ldc = parameters.ldc;
  output.C = C + (group.z * parameters.batch_c + m * output.ldc + n) * size;
  if (has_bias)
    output.bias = bias + (group.z * parameters.batch_bias + (bias_trans ? m : n)) * size;

  if (vector_path) {
    qgemm_vector(block, output, place.lane);
  } else {
    qgemm_matrix(block, output, memory, place);
  }
}
