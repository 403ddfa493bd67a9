// SPDX-License-Identifier: MIT
// qgemm for few rows: weights are decoded in registers and multiplied there, none twice.
#pragma once

#include "gemm_vector.h"
#include "qgemm_matrix.h"
#include "qgemm_weights.h"

// Decoded with one scale.
constant uint vector_step = palette ? 64 : group_size;

/// Row m of the block, or the last one where there are fewer: what is computed twice is not stored.
inline const device uchar* A_row(const thread qgemm_block& block, ushort m) {
  return moved(block.A, min(uint(m), block.rows - 1) * block.lda, input_type);
}

/// sums[m][n] += A[m][k + lane] * B[n][k + lane] for `vector_step` of k; lanes beyond K add 0.
inline void add_products(const thread qgemm_block& block, uint k, bool whole, ulong lane,
                         thread float* sums) {
  weight_group groups[MFA_MAX_VECTOR_SUMS];
#pragma clang loop unroll(full)
  for (ushort n = 0; n < N_simd; ++n) {
    groups[n] = load_group(block.B, block.n + min(uint(n), block.columns - 1), k, lane);
  }
#pragma clang loop unroll(full)
  for (uint i = 0; i < vector_step; i += MFA_SIMDGROUP_SIZE) {
    const bool inside = whole || k + i + lane < block.K;
    float a[MFA_MAX_VECTOR_SUMS];
#pragma clang loop unroll(full)
    for (ushort m = 0; m < M_simd; ++m) {
      a[m] = inside ? value_at(moved(A_row(block, m), k + i, input_type), lane, input_type) : 0.0f;
    }
#pragma clang loop unroll(full)
    for (ushort n = 0; n < N_simd; ++n) {
      const uint row = block.n + min(uint(n), block.columns - 1);
      const float b = weight_at(block.B, groups[n], row, k + i, lane, inside);
#pragma clang loop unroll(full)
      for (ushort m = 0; m < M_simd; ++m) sums[m * N_simd + n] = fma(a[m], b, sums[m * N_simd + n]);
    }
  }
}

/// B is stored N x K: lanes run along K and meet at the end. Lane n stores column n.
template <typename T>
inline void dot_products(const thread qgemm_block& block, const thread gemm_block<T>& output,
                         uint depth, ulong lane) {
  float sums[MFA_MAX_VECTOR_SUMS] = {};
  uint k = 0;
  for (; k + vector_step <= depth; k += vector_step) add_products(block, k, true, lane, sums);
  if (k < depth) add_products(block, k, false, lane, sums);
  store_shared(output, sums, lane);
}

/// sums[m][n] += A[m][k] * B[k][32 n + lane] for one k. Not `whole`: there are fewer columns.
inline void add_row(const thread qgemm_block& block, uint k, bool whole, ulong lane,
                    thread float* sums) {
  weight_group group = {};
#pragma clang loop unroll(full)
  for (ushort n = 0; n < lane_columns; ++n) {
    const uint column = n * MFA_SIMDGROUP_SIZE;
    if (!whole && column >= block.columns) break;
    if (column % vector_step == 0) group = load_group(block.B, k, block.n + column, lane);
    const float b = weight_at(block.B, group, k, block.n + column, lane,
                              whole || column + lane < block.columns);
#pragma clang loop unroll(full)
    for (ushort m = 0; m < M_simd; ++m) {
      const float a = value_at(A_row(block, m), k, input_type);
      sums[m * lane_columns + n] = fma(a, b, sums[m * lane_columns + n]);
    }
  }
}

/// B is stored K x N: each lane has columns of its own, a run of 32 neighbours for each of its
/// sums.
template <typename T>
inline void combine_rows(const thread qgemm_block& block, const thread gemm_block<T>& output,
                         uint depth, ulong lane) {
  float sums[MFA_MAX_VECTOR_SUMS] = {};
  if (block.columns >= N_simd) {
    for (uint k = 0; k < depth; ++k) add_row(block, k, true, lane, sums);
  } else {
    for (uint k = 0; k < depth; ++k) add_row(block, k, false, lane, sums);
  }
  store_runs(output, sums, lane);
}

template <typename T>
inline void multiply_vectors(const thread qgemm_block& block, const thread gemm_block<T>& output,
                             ulong lane) {
  const uint depth = output.alpha == 0.0f ? 0 : block.K;  // as in BLAS
  if (B_trans) {
    dot_products(block, output, depth, lane);
  } else {
    combine_rows(block, output, depth, lane);
  }
}

inline void qgemm_vector(const thread qgemm_block& block, gemm_block<uchar> output, ulong lane) {
  if (output_type == MFA_TYPE_FLOAT) {
    multiply_vectors(block, typed_output<float>(output), lane);
  } else if (output_type == MFA_TYPE_HALF) {
    multiply_vectors(block, typed_output<half>(output), lane);
  } else {
    multiply_vectors(block, typed_output<bfloat>(output), lane);
  }
}
