// SPDX-License-Identifier: MIT
// qgemm for many rows: weights are decoded into tiles, once per threadgroup, and multiplied there.
#pragma once

#include "gemm.h"
#include "qgemm_weights.h"
#include "tile.h"

// Runs of 32 weights of a stored row have one scale: tiles begin where runs do.
constant bool whole_runs = (B_trans ? K_simd : N_group) % MFA_SIMDGROUP_SIZE == 0;

/// What a threadgroup has to do. Uniform. A begins at the block's first element; the block's part
/// of op(B) begins at column n.
struct qgemm_block {
  const device uchar* A;
  weight_matrix B;
  ulong lda;
  uint rows, columns;  // of C, from the block's first on
  uint n, K;
};

/// tile[r][c] = weight (row + r, column + c) where r < rows and c < columns, else 0. Column is a
/// multiple of 32.
template <typename E>
inline void load_weights(weight_matrix B, uint row, uint column, uint rows, uint columns,
                         mfa_tile<E> tile, mfa_place place) {
  const bool interior = rows >= tile.rows && columns >= tile.columns;
  // Rolled: 64 rows of shuffles took more than a second to compile.
#pragma clang loop unroll(disable)
  for (ushort r = place.simdgroup; r < tile.rows; r += place.simdgroups) {
    threadgroup E* to = tile.data + uint(r) * tile.leading;
    const uint readable = r < rows ? columns : 0;
#pragma clang loop unroll(full)
    for (ushort c = 0; c < tile.columns; c += MFA_SIMDGROUP_SIZE) {
      const ulong at = c + place.lane;
      const bool whole = c + MFA_SIMDGROUP_SIZE <= tile.columns;
      float weight = 0.0f;
      if (interior && whole) {
        const weight_group group = load_group(B, row + r, column + c, place.lane);
        weight = weight_at(B, group, row + r, column + c, place.lane, true);
      } else if (c < readable) {
        const weight_group group = load_group(B, row + r, column + c, place.lane);
        weight = weight_at(B, group, row + r, column + c, place.lane, at < readable);
      }
      if (whole || at < tile.columns) to[at] = E(weight);
    }
  }
}

template <typename T>
struct qgemm_fill {
  const thread qgemm_block& block;

  template <typename E>
  void tiles(uint k, uint left, mfa_tile<E> A_tile, mfa_tile<E> B_tile, mfa_place place) {
    load_A(reinterpret_cast<const device T*>(block.A), block.lda, block.rows, k, left, A_tile,
           place);
    if (B_trans) {
      load_weights(block.B, block.n, k, block.columns, left, B_tile, place);
    } else {
      load_weights(block.B, k, block.n, left, block.columns, B_tile, place);
    }
  }
};

template <typename T>
inline void multiply_from(const thread qgemm_block& block, thread simdgroup_float8x8* accumulators,
                          uint depth, ushort2 origin, threadgroup uchar* memory, mfa_place place) {
  qgemm_fill<T> fill = {block};
  if (tile_float) {
    multiply_blocks<float>(accumulators, fill, depth, origin, memory, place);
  } else {
    multiply_blocks<T>(accumulators, fill, depth, origin, memory, place);
  }
}

template <typename T>
inline void store_block(const thread gemm_block<T>& output, thread simdgroup_float8x8* accumulators,
                        ushort2 origin, threadgroup uchar* memory, mfa_place place) {
  if (staged) {
    store_staged(output, reinterpret_cast<threadgroup float*>(memory), place);
  } else {
    store_direct(output, accumulators, origin, place);
  }
}

template <typename T>
inline gemm_block<T> typed_output(gemm_block<uchar> output) {
  gemm_block<T> result = {};
  result.C = reinterpret_cast<device T*>(output.C);
  result.bias = reinterpret_cast<const device T*>(output.bias);
  result.ldc = output.ldc;
  result.rows = output.rows;
  result.columns = output.columns;
  result.alpha = output.alpha;
  result.beta = output.beta;
  return result;
}

inline void qgemm_matrix(const thread qgemm_block& block, gemm_block<uchar> output,
                         threadgroup uchar* memory, mfa_place place) {
  const ushort2 origin = part_of_block(place);
  simdgroup_float8x8 accumulators[MFA_MAX_GEMM_MATRICES];
  clear_accumulators(accumulators);
  const uint depth = output.alpha == 0.0f ? 0 : block.K;  // as in BLAS
  if (input_type == MFA_TYPE_FLOAT) {
    multiply_from<float>(block, accumulators, depth, origin, memory, place);
  } else if (input_type == MFA_TYPE_HALF) {
    multiply_from<half>(block, accumulators, depth, origin, memory, place);
  } else {
    multiply_from<bfloat>(block, accumulators, depth, origin, memory, place);
  }
  if (staged) finish_stage(reinterpret_cast<threadgroup float*>(memory), depth, place);
  if (output_type == MFA_TYPE_FLOAT) {
    store_block(typed_output<float>(output), accumulators, origin, memory, place);
  } else if (output_type == MFA_TYPE_HALF) {
    store_block(typed_output<half>(output), accumulators, origin, memory, place);
  } else {
    store_block(typed_output<bfloat>(output), accumulators, origin, memory, place);
  }
}
