// SPDX-License-Identifier: MIT
// C = activation(alpha * op(A) * op(B) + beta * C + bias), one block of C per threadgroup.
#pragma once

#include <metal_simdgroup_matrix>
#include <metal_stdlib>

#include "activation.h"
#include "shared.h"
#include "tile.h"

using namespace metal;

constant uint fixed_M [[function_constant(MFA_CONSTANT_M)]];
constant uint fixed_N [[function_constant(MFA_CONSTANT_N)]];
constant uint fixed_K [[function_constant(MFA_CONSTANT_K)]];
constant bool given_A_trans [[function_constant(MFA_CONSTANT_A_TRANS)]];
constant bool given_B_trans [[function_constant(MFA_CONSTANT_B_TRANS)]];
constant bool given_bias_trans [[function_constant(MFA_CONSTANT_BIAS_TRANS)]];
constant float fixed_alpha [[function_constant(MFA_CONSTANT_ALPHA)]];
constant float fixed_beta [[function_constant(MFA_CONSTANT_BETA)]];
constant bool given_batched [[function_constant(MFA_CONSTANT_BATCHED)]];
constant bool given_fused_activation [[function_constant(MFA_CONSTANT_FUSED_ACTIVATION)]];
constant bool given_fused_bias [[function_constant(MFA_CONSTANT_FUSED_BIAS)]];
constant ushort given_M_simd [[function_constant(MFA_CONSTANT_M_SIMD)]];
constant ushort given_N_simd [[function_constant(MFA_CONSTANT_N_SIMD)]];
constant ushort given_K_simd [[function_constant(MFA_CONSTANT_K_SIMD)]];
constant ushort given_M_splits [[function_constant(MFA_CONSTANT_M_SPLITS)]];
constant ushort given_N_splits [[function_constant(MFA_CONSTANT_N_SPLITS)]];
constant bool given_parameters [[function_constant(MFA_CONSTANT_PARAMETERS)]];
constant bool given_tile_float [[function_constant(MFA_CONSTANT_TILE_FLOAT)]];
constant bool given_staged [[function_constant(MFA_CONSTANT_STAGED)]];
constant uint given_activation [[function_constant(MFA_CONSTANT_ACTIVATION)]];
constant bool given_scale_bias [[function_constant(MFA_CONSTANT_SCALE_BIAS)]];
constant ushort given_A_padding [[function_constant(MFA_CONSTANT_A_PADDING)]];
constant ushort given_B_padding [[function_constant(MFA_CONSTANT_B_PADDING)]];

#define MFA_OR(constant_name, value) \
  (is_function_constant_defined(constant_name) ? constant_name : (value))

constant bool A_trans = MFA_OR(given_A_trans, false);
constant bool B_trans = MFA_OR(given_B_trans, false);
constant bool bias_trans = MFA_OR(given_bias_trans, false);
constant bool batched = MFA_OR(given_batched, false);
constant bool has_bias = MFA_OR(given_fused_bias, false);
constant bool has_visible_function = MFA_OR(given_fused_activation, false) && !has_bias;
constant ushort M_simd = MFA_OR(given_M_simd, MFA_DEFAULT_M_SIMD);
constant ushort N_simd = MFA_OR(given_N_simd, MFA_DEFAULT_N_SIMD);
constant ushort K_simd = MFA_OR(given_K_simd, MFA_DEFAULT_K_SIMD);
constant ushort M_splits = MFA_OR(given_M_splits, MFA_DEFAULT_M_SPLITS);
constant ushort N_splits = MFA_OR(given_N_splits, MFA_DEFAULT_N_SPLITS);
constant bool has_parameters =
    MFA_OR(given_parameters,
           !(is_function_constant_defined(fixed_M) && is_function_constant_defined(fixed_N) &&
             is_function_constant_defined(fixed_K) && is_function_constant_defined(fixed_alpha) &&
             is_function_constant_defined(fixed_beta)));
constant bool tile_float = MFA_OR(given_tile_float, false);
constant bool staged = MFA_OR(given_staged, false);
constant uint activation = MFA_OR(given_activation, MFA_ACTIVATION_NONE);
constant bool scale_bias = MFA_OR(given_scale_bias, true);

constant ushort simdgroups = M_splits * N_splits;
constant ushort M_group = M_simd * M_splits;
constant ushort N_group = N_simd * N_splits;
constant ushort M_tiles = M_simd / 8;
constant ushort N_tiles = N_simd / 8;
constant ushort A_leading = K_simd + MFA_OR(given_A_padding, 0);
constant ushort B_leading = N_group + MFA_OR(given_B_padding, 0);
constant bool supported = !has_visible_function && M_tiles <= MFA_MAX_GEMM_ROWS &&
                          M_tiles * N_tiles <= MFA_MAX_GEMM_MATRICES;

/// What a threadgroup has to do. Uniform.
template <typename T>
struct gemm_block {
  const device T *A, *B, *bias;  // at the batch's first element
  device T *C;
  ulong lda, ldb, ldc;
  uint M, N, K, m, n;  // the sizes; first row and column of the block
  float alpha, beta;
};

/// accumulators += A tile * B tile, for one simdgroup. Every offset is a constant.
template <typename E>
inline void multiply(thread simdgroup_float8x8 *accumulators, const threadgroup E *A_tile,
                     const threadgroup E *B_tile) {
#pragma clang loop unroll(full)
  for (ushort k = 0; k < K_simd; k += 8) {
    simdgroup_matrix<E, 8, 8> A[MFA_MAX_GEMM_ROWS];
#pragma clang loop unroll(full)
    for (ushort m = 0; m < M_tiles; ++m) {
      simdgroup_load(A[m], A_tile + m * 8 * A_leading + k, A_leading);
    }
#pragma clang loop unroll(full)
    for (ushort n = 0; n < N_tiles; ++n) {
      simdgroup_matrix<E, 8, 8> B;
      simdgroup_load(B, B_tile + k * B_leading + n * 8, B_leading);
#pragma clang loop unroll(full)
      for (ushort m = 0; m < M_tiles; ++m) {
        simdgroup_multiply_accumulate(accumulators[m * N_tiles + n], A[m], B,
                                      accumulators[m * N_tiles + n]);
      }
    }
  }
}

/// The product's element -> C's element. beta == 0 must not read C.
template <typename T>
inline void finish(const thread gemm_block<T> &block, float product, uint row, uint column) {
  device T *to = block.C + row * block.ldc + column;
  float value = product;
  if (has_bias && scale_bias) value += float(block.bias[bias_trans ? row : column]);
  value *= block.alpha;
  if (block.beta != 0.0f) value = fma(block.beta, float(*to), value);
  if (has_bias && !scale_bias) value += float(block.bias[bias_trans ? row : column]);
  *to = T(activate(value, activation));
}

/// Accumulators -> float block in threadgroup memory -> C, lanes along its rows.
template <typename T>
inline void store_staged(const thread gemm_block<T> &block, thread simdgroup_float8x8 *accumulators,
                         threadgroup float *stage, ushort2 origin, mfa_place place) {
#pragma clang loop unroll(full)
  for (ushort m = 0; m < M_tiles; ++m) {
#pragma clang loop unroll(full)
    for (ushort n = 0; n < N_tiles; ++n) {
      simdgroup_store(accumulators[m * N_tiles + n],
                      stage + (origin.y + m * 8) * N_group + origin.x + n * 8, N_group);
    }
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);

  const uint rows = min(uint(M_group), block.M - block.m);
  const uint columns = block.N - block.n;
  for (uint r = place.simdgroup; r < rows; r += place.simdgroups) {
    if (columns >= N_group && N_group % MFA_SIMDGROUP_SIZE == 0) {
#pragma clang loop unroll(full)
      for (ushort c = 0; c < N_group; c += MFA_SIMDGROUP_SIZE) {
        const uint column = uint(c) + place.lane;
        finish(block, stage[r * N_group + column], block.m + r, block.n + column);
      }
    } else {
      for (uint column = place.lane; column < min(columns, uint(N_group));
           column += MFA_SIMDGROUP_SIZE) {
        finish(block, stage[r * N_group + column], block.m + r, block.n + column);
      }
    }
  }
}

/// Accumulators -> C straight from registers, two elements per lane and matrix.
template <typename T>
inline void store_direct(const thread gemm_block<T> &block, thread simdgroup_float8x8 *accumulators,
                         ushort2 origin, mfa_place place) {
  const ushort2 lane = matrix_place(place.lane);
#pragma clang loop unroll(full)
  for (ushort m = 0; m < M_tiles; ++m) {
    const uint row = block.m + origin.y + m * 8 + lane.x;
#pragma clang loop unroll(full)
    for (ushort n = 0; n < N_tiles; ++n) {
      const uint column = block.n + origin.x + n * 8 + lane.y;
      thread auto &elements = accumulators[m * N_tiles + n].thread_elements();
      if (row < block.M && column < block.N) finish(block, elements[0], row, column);
      if (row < block.M && column + 1 < block.N) finish(block, elements[1], row, column + 1);
    }
  }
}

/// for k in blocks of K: A, B -> tiles; accumulators += A tile * B tile.  Then accumulators -> C.
template <typename T, typename E>
inline void gemm_run(const thread gemm_block<T> &block, threadgroup uchar *memory,
                     mfa_place place) {
  const mfa_tile<E> A_tile = {reinterpret_cast<threadgroup E *>(memory), M_group, K_simd,
                              A_leading};
  const mfa_tile<E> B_tile = {A_tile.data + uint(M_group) * A_leading, K_simd, N_group, B_leading};
  const ushort2 origin = ushort2((place.simdgroup % N_splits) * N_simd,
                                 (place.simdgroup / N_splits) * M_simd);
  simdgroup_float8x8 accumulators[MFA_MAX_GEMM_MATRICES];
#pragma clang loop unroll(full)
  for (ushort i = 0; i < M_tiles * N_tiles; ++i) {
    accumulators[i] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
  }

  const uint rows = block.M - block.m, columns = block.N - block.n;
  const uint depth = block.alpha == 0.0f ? 0 : block.K;  // as in BLAS: alpha == 0 reads no A, B
  for (uint k = 0; k < depth; k += K_simd) {
    const uint left = depth - k;
    if (A_trans) {
      load_tile_transposed(block.A + k * block.lda + block.m, block.lda, left, rows, A_tile, place);
    } else {
      load_tile(block.A + block.m * block.lda + k, block.lda, rows, left, A_tile, place);
    }
    if (B_trans) {
      load_tile_transposed(block.B + block.n * block.ldb + k, block.ldb, columns, left, B_tile,
                           place);
    } else {
      load_tile(block.B + k * block.ldb + block.n, block.ldb, left, columns, B_tile, place);
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    multiply(accumulators, A_tile.data + origin.y * A_leading, B_tile.data + origin.x);
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }

  if (staged) {
    store_staged(block, accumulators, reinterpret_cast<threadgroup float *>(memory), origin, place);
  } else {
    store_direct(block, accumulators, origin, place);
  }
}

template <typename T>
void gemm(device const T *A [[buffer(MFA_SLOT_A)]], device const T *B [[buffer(MFA_SLOT_B)]],
          device T *C [[buffer(MFA_SLOT_C)]],
          device const T *bias [[buffer(MFA_SLOT_BIAS), function_constant(has_bias)]],
          constant ulong4 *offsets [[buffer(MFA_SLOT_OFFSETS), function_constant(batched)]],
          constant mfa_gemm_parameters &parameters
          [[buffer(MFA_SLOT_PARAMETERS), function_constant(has_parameters)]],
          threadgroup uchar *memory [[threadgroup(MFA_SLOT_TILES)]],
          uint3 group [[threadgroup_position_in_grid]],
          ushort simdgroup [[simdgroup_index_in_threadgroup]],
          ushort lane [[thread_index_in_simdgroup]]) {
  if (!supported) return;

  gemm_block<T> block;
  block.M = is_function_constant_defined(fixed_M) ? fixed_M : parameters.M;
  block.N = is_function_constant_defined(fixed_N) ? fixed_N : parameters.N;
  block.K = is_function_constant_defined(fixed_K) ? fixed_K : parameters.K;
  block.alpha = is_function_constant_defined(fixed_alpha) ? fixed_alpha : parameters.alpha;
  block.beta = is_function_constant_defined(fixed_beta) ? fixed_beta : parameters.beta;
  block.m = group.y * M_group;
  block.n = group.x * N_group;
  if (block.m >= block.M || block.n >= block.N) return;  // the whole threadgroup

  block.A = A;
  block.B = B;
  block.C = C;
  block.bias = has_bias ? bias : nullptr;
  block.lda = A_trans ? block.M : block.K;
  block.ldb = B_trans ? block.K : block.N;
  block.ldc = block.N;
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

  const ushort first = 0;
  const mfa_place place = {simdgroups == 1 ? first : simdgroup, simdgroups, lane};
  if (tile_float) {
    gemm_run<T, float>(block, memory, place);
  } else {
    gemm_run<T, T>(block, memory, place);
  }
}
