// SPDX-License-Identifier: MIT
// The GEMM kernels, by BLAS name: one instantiation per storage type.
#include "gemm_vector.h"

template <typename T>
[[kernel]] void gemm(device const T* A [[buffer(MFA_SLOT_A)]],
                     device const T* B [[buffer(MFA_SLOT_B)]], device T* C [[buffer(MFA_SLOT_C)]],
                     device const T* bias [[buffer(MFA_SLOT_BIAS), function_constant(has_bias)]],
                     constant ulong4* offsets
                     [[buffer(MFA_SLOT_OFFSETS), function_constant(batched)]],
                     constant mfa_gemm_parameters& parameters
                     [[buffer(MFA_SLOT_PARAMETERS), function_constant(has_parameters)]],
                     threadgroup uchar* memory
                     [[threadgroup(MFA_SLOT_TILES), function_constant(tiled)]],
                     uint3 group [[threadgroup_position_in_grid]],
                     ushort simdgroup [[simdgroup_index_in_threadgroup]],
                     ushort lane [[thread_index_in_simdgroup]]) {
  if (!(vector_path ? vector_supported && (complete || has_parameters) && !has_visible_function
                    : supported))
    return;

  const uint M = is_function_constant_defined(fixed_M) ? fixed_M : parameters.M;
  const uint N = is_function_constant_defined(fixed_N) ? fixed_N : parameters.N;
  const uint K = is_function_constant_defined(fixed_K) ? fixed_K : parameters.K;
  const ushort first = 0;
  const mfa_place place = {simdgroups == 1 ? first : simdgroup, simdgroups, lane};
  uint m = group.y * M_group, n = group.x * N_group;
  if (vector_path) {  // simdgroups have nothing in common
    m += (place.simdgroup / N_splits) * M_simd;
    n += (place.simdgroup % N_splits) * N_simd;
  }
  if (m >= M || n >= N) return;  // with tiles: the whole threadgroup
  // Without tiles a block at the edge moves back until it is whole.
  const uint skipped =
      vector_path && !B_trans && N >= N_simd && N - n < N_simd ? N_simd - (N - n) : 0;
  n -= skipped;

  gemm_block<T> block;
  block.rows = M - m;
  block.columns = N - n;
  block.skipped = skipped;
  block.K = K;
  block.alpha = is_function_constant_defined(fixed_alpha) ? fixed_alpha : parameters.alpha;
  block.beta = is_function_constant_defined(fixed_beta) ? fixed_beta : parameters.beta;
  block.A = A;
  block.B = B;
  block.C = C;
  block.bias = has_bias ? bias : nullptr;
  block.lda = A_trans ? M : K;
  block.ldb = B_trans ? K : N;
  block.ldc = N;
  if (has_parameters) {
    block.lda = parameters.lda;
    block.ldb = parameters.ldb;
    block.ldc = parameters.ldc;
    block.A += group.z * parameters.batch_a;
    block.B += group.z * parameters.batch_b;
    block.C += group.z * parameters.batch_c;
    if (has_bias) block.bias += group.z * parameters.batch_bias;
  }
  if (batched) {
    const ulong4 bytes = offsets[group.z];
    block.A += bytes.x / sizeof(T);
    block.B += bytes.y / sizeof(T);
    block.C += bytes.z / sizeof(T);
    if (has_bias) block.bias += bytes.w / sizeof(T);
  }
  block.A += A_trans ? m : m * block.lda;
  block.B += B_trans ? n * block.ldb : n;
  block.C += m * block.ldc + n;
  if (has_bias) block.bias += bias_trans ? m : n;

  if (vector_path) {
    gemm_vector(block, place.lane);
  } else if (tile_float) {
    gemm_run<T, float>(block, memory, place);
  } else {
    gemm_run<T, T>(block, memory, place);
  }
}

template [[host_name("hgemm")]] [[kernel]] decltype(gemm<half>) gemm<half>;
template [[host_name("sgemm")]] [[kernel]] decltype(gemm<float>) gemm<float>;
template [[host_name("bgemm")]] [[kernel]] decltype(gemm<bfloat>) gemm<bfloat>;
