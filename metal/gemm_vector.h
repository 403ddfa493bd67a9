// SPDX-License-Identifier: MIT
// GEMM for few rows: every element of B is read once, straight into registers, none into tiles.
#pragma once

#include "gemm.h"

// Sums of a simdgroup: M_simd rows by N_simd columns. With B transposed lanes share each sum, else
// each lane has columns of its own, a run of 32 neighbours for each of its sums.
constant ushort lane_columns = B_trans ? N_simd : N_simd / MFA_SIMDGROUP_SIZE;
constant bool vector_supported =
    (B_trans ? N_simd <= MFA_SIMDGROUP_SIZE : N_simd % MFA_SIMDGROUP_SIZE == 0) && !A_trans &&
    M_simd * lane_columns <= MFA_MAX_VECTOR_SUMS;

/// Row m of the block, or the last one where there are fewer: what is computed twice is not stored.
template <typename T>
inline const device T* A_row(const thread gemm_block<T>& block, ushort m) {
  return block.A + min(uint(m), block.rows - 1) * block.lda;
}

/// sums[m][n] += A[m][k + lane] * B[n][k + lane]; lanes beyond K add 0.
template <typename T>
inline void add_products(const thread gemm_block<T>& block, uint k, bool whole, ulong lane,
                         thread float* sums) {
  const bool inside = whole || k + lane < block.K;
  float a[MFA_MAX_VECTOR_SUMS];
#pragma clang loop unroll(full)
  for (ushort m = 0; m < M_simd; ++m) {
    a[m] = 0.0f;
    if (inside) a[m] = float((A_row(block, m) + k)[lane]);
  }
#pragma clang loop unroll(full)
  for (ushort n = 0; n < N_simd; ++n) {
    const device T* row = block.B + min(uint(n), block.columns - 1) * block.ldb + k;
    float b = 0.0f;
    if (inside) b = float(row[lane]);
#pragma clang loop unroll(full)
    for (ushort m = 0; m < M_simd; ++m) sums[m * N_simd + n] = fma(a[m], b, sums[m * N_simd + n]);
  }
}

/// What lanes share -> C. Lane n stores column n.
template <typename T>
inline void store_shared(const thread gemm_block<T>& output, const thread float* sums, ulong lane) {
#pragma clang loop unroll(full)
  for (ushort m = 0; m < M_simd; ++m) {
    float mine = 0.0f;
#pragma clang loop unroll(full)
    for (ushort n = 0; n < N_simd; ++n) {
      const float sum = simd_sum(sums[m * N_simd + n]);
      mine = lane == n ? sum : mine;
    }
    if (m < output.rows && lane < min(uint(N_simd), output.columns)) {
      finish(output, mine, output.C + m * output.ldc, m, lane);
    }
  }
}

/// sums[m][n] += A[m][k + i] * B[k + i][n] for `depth` of i and all columns of a whole block.
template <typename T, ushort depth>
inline void add_rows(const thread gemm_block<T>& block, uint k, ulong lane, thread float* sums) {
#pragma clang loop unroll(full)
  for (ushort n = 0; n < lane_columns; ++n) {
#pragma clang loop unroll(full)
    for (ushort i = 0; i < depth; ++i) {
      const float b = float((block.B + (k + i) * block.ldb + n * MFA_SIMDGROUP_SIZE)[lane]);
#pragma clang loop unroll(full)
      for (ushort m = 0; m < M_simd; ++m) {
        const float a = float(A_row(block, m)[k + i]);
        sums[m * lane_columns + n] = fma(a, b, sums[m * lane_columns + n]);
      }
    }
  }
}

/// What each lane has of its own -> C.
template <typename T>
inline void store_runs(const thread gemm_block<T>& output, const thread float* sums, ulong lane) {
#pragma clang loop unroll(full)
  for (ushort m = 0; m < M_simd; ++m) {
#pragma clang loop unroll(full)
    for (ushort n = 0; n < lane_columns; ++n) {
      const ulong column = n * MFA_SIMDGROUP_SIZE + lane;
      if (m < output.rows && column >= output.skipped && column < output.columns) {
        finish(output, sums[m * lane_columns + n], output.C + m * output.ldc, m, column);
      }
    }
  }
}

/// N_simd columns, all of which there are.
template <typename T>
inline void combine_rows(const thread gemm_block<T>& block, uint depth, ulong lane) {
  constexpr ushort step = 8;  // rows of B, so that several pages are on their way
  float sums[MFA_MAX_VECTOR_SUMS] = {};
  uint k = 0;
  for (; k + step <= depth; k += step) add_rows<T, step>(block, k, lane, sums);
  for (; k < depth; ++k) add_rows<T, 1>(block, k, lane, sums);
  store_runs(block, sums, lane);
}

/// A matrix with fewer columns than that: run by run.
template <typename T>
inline void combine_narrow(const thread gemm_block<T>& block, uint depth, ulong lane) {
  for (ulong column = lane; column < block.columns; column += MFA_SIMDGROUP_SIZE) {
#pragma clang loop unroll(full)
    for (ushort m = 0; m < M_simd; ++m) {
      float sum = 0.0f;
      for (uint k = 0; k < depth; ++k) {
        sum = fma(float(A_row(block, m)[k]), float((block.B + k * block.ldb)[column]), sum);
      }
      if (m < block.rows) finish(block, sum, block.C + m * block.ldc, m, column);
    }
  }
}

template <typename T>
inline void gemm_vector(const thread gemm_block<T>& block, ulong lane) {
  const uint depth = block.alpha == 0.0f ? 0 : block.K;  // as in BLAS
  if (B_trans) {
    float sums[MFA_MAX_VECTOR_SUMS] = {};
    uint k = 0;
    for (; k + MFA_SIMDGROUP_SIZE <= depth; k += MFA_SIMDGROUP_SIZE) {
      add_products(block, k, true, lane, sums);
    }
    if (k < depth) add_products(block, k, false, lane, sums);
    store_shared(block, sums, lane);
  } else if (block.columns >= N_simd) {
    combine_rows(block, depth, lane);
  } else {
    combine_narrow(block, depth, lane);
  }
}
