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
constant bool given_vector [[function_constant(MFA_CONSTANT_VECTOR)]];

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
constant bool complete =
    is_function_constant_defined(fixed_M) && is_function_constant_defined(fixed_N) &&
    is_function_constant_defined(fixed_K) && is_function_constant_defined(fixed_alpha) &&
    is_function_constant_defined(fixed_beta);
constant bool has_parameters = MFA_OR(given_parameters, !complete);
constant bool tile_float = MFA_OR(given_tile_float, false);
constant bool staged = MFA_OR(given_staged, false);
constant uint activation = MFA_OR(given_activation, MFA_ACTIVATION_NONE);
constant bool scale_bias = MFA_OR(given_scale_bias, true);

constant bool vector_path = MFA_OR(given_vector, false);
constant bool tiled = !vector_path;

constant ushort simdgroups = M_splits * N_splits;
constant ushort M_group = M_simd * M_splits;
constant ushort N_group = N_simd * N_splits;
constant ushort M_tiles = M_simd / 8;
constant ushort N_tiles = N_simd / 8;

// Tiles keep the orientation of the stored matrix; matrix loads transpose.
constant ushort A_rows = A_trans ? K_simd : M_group;
constant ushort A_columns = A_trans ? M_group : K_simd;
constant ushort A_leading = A_columns + MFA_OR(given_A_padding, 0);
constant ushort B_rows = B_trans ? N_group : K_simd;
constant ushort B_columns = B_trans ? K_simd : N_group;
constant ushort B_leading = B_columns + MFA_OR(given_B_padding, 0);
constant bool supported = (complete || has_parameters) && !has_visible_function &&
                          (M_simd | N_simd | K_simd) % 8 == 0 && M_tiles <= MFA_MAX_GEMM_ROWS &&
                          M_tiles * N_tiles <= MFA_MAX_GEMM_MATRICES;

/// What a threadgroup has to do. Uniform. Pointers are at the block's first element, so that what
/// lanes add to them is small: the CPU device then knows that lanes touch consecutive elements.
template <typename T>
struct gemm_block {
  const device T *A, *B, *bias;
  device T* C;
  ulong lda, ldb, ldc;
  uint rows, columns;  // of C, from the block's first on
  uint skipped;        // columns that are another block's to store
  uint K;
  float alpha, beta;
};

/// Element (row, column) of op(tile) begins a matrix.
template <typename E>
inline simdgroup_matrix<E, 8, 8> load_matrix(const threadgroup E* tile, ushort leading, bool trans,
                                             ushort row, ushort column) {
  simdgroup_matrix<E, 8, 8> result;
  if (trans) {
    simdgroup_load(result, tile + column * leading + row, leading, ulong2(0), true);
  } else {
    simdgroup_load(result, tile + row * leading + column, leading);
  }
  return result;
}

/// accumulators += A tile * B tile, for one simdgroup; the tiles begin at its block.
template <typename E>
inline void multiply(thread simdgroup_float8x8* accumulators, const threadgroup E* A_tile,
                     const threadgroup E* B_tile) {
#pragma clang loop unroll(full)
  for (ushort k = 0; k < K_simd; k += 8) {
    simdgroup_matrix<E, 8, 8> A[MFA_MAX_GEMM_ROWS];
#pragma clang loop unroll(full)
    for (ushort i = 0; i < M_tiles; ++i) {
      A[i] = load_matrix(A_tile, A_leading, A_trans, i * 8, k);
    }
#pragma clang loop unroll(full)
    for (ushort j = 0; j < N_tiles; ++j) {
      const simdgroup_matrix<E, 8, 8> B = load_matrix(B_tile, B_leading, B_trans, k, j * 8);
#pragma clang loop unroll(full)
      for (ushort i = 0; i < M_tiles; ++i) {
        thread simdgroup_float8x8& C = accumulators[i * N_tiles + j];
        simdgroup_multiply_accumulate(C, A[i], B, C);
      }
    }
  }
}

/// The product's element -> C's element. beta == 0 must not read C.
template <typename T>
inline void finish(const thread gemm_block<T>& block, float product, device T* C_row, ulong row,
                   ulong column) {
  float value = product;
  if (has_bias && scale_bias) value += float(block.bias[bias_trans ? row : column]);
  value *= block.alpha;
  if (block.beta != 0.0f) value = fma(block.beta, float(C_row[column]), value);
  if (has_bias && !scale_bias) value += float(block.bias[bias_trans ? row : column]);
  C_row[column] = T(activate(value, activation));
}

/// Accumulators -> float block in threadgroup memory.
inline void stage_accumulators(thread simdgroup_float8x8* accumulators, threadgroup float* stage) {
#pragma clang loop unroll(full)
  for (ushort m = 0; m < M_tiles; ++m) {
#pragma clang loop unroll(full)
    for (ushort n = 0; n < N_tiles; ++n) {
      simdgroup_store(accumulators[m * N_tiles + n], stage + m * 8 * N_group + n * 8, N_group);
    }
  }
}

/// What there is to stage if nothing was multiplied.
inline void clear_stage(threadgroup float* stage, mfa_place place) {
  for (uint i = place.simdgroup * MFA_SIMDGROUP_SIZE; i < uint(M_group) * N_group;
       i += place.simdgroups * MFA_SIMDGROUP_SIZE) {
    stage[i + place.lane] = 0.0f;
  }
}

/// Float block in threadgroup memory -> C, lanes along its rows.
template <typename T>
inline void store_staged(const thread gemm_block<T>& block, const threadgroup float* stage,
                         mfa_place place) {
  const uint rows = min(uint(M_group), block.rows);
  for (uint r = place.simdgroup; r < rows; r += place.simdgroups) {
    device T* C_row = block.C + r * block.ldc;
    const threadgroup float* stage_row = stage + r * N_group;
    if (block.columns >= N_group) {
#pragma clang loop unroll(full)
      for (ushort c = 0; c < N_group; c += MFA_SIMDGROUP_SIZE) {
        const ulong column = c + place.lane;
        if (c + MFA_SIMDGROUP_SIZE <= N_group || column < N_group) {
          finish(block, stage_row[column], C_row, r, column);
        }
      }
    } else {
      for (ushort c = 0; c < block.columns; c += MFA_SIMDGROUP_SIZE) {
        const ulong column = c + place.lane;
        if (column < block.columns) finish(block, stage_row[column], C_row, r, column);
      }
    }
  }
}

/// Accumulators -> C straight from registers, two elements per lane and matrix.
template <typename T>
inline void store_direct(const thread gemm_block<T>& block, thread simdgroup_float8x8* accumulators,
                         ushort2 origin, mfa_place place) {
  const ushort2 lane = matrix_place(ushort(place.lane));
#pragma clang loop unroll(full)
  for (ushort m = 0; m < M_tiles; ++m) {
    const uint row = origin.y + m * 8 + lane.x;
    device T* C_row = block.C + row * block.ldc;
#pragma clang loop unroll(full)
    for (ushort n = 0; n < N_tiles; ++n) {
      const uint column = origin.x + n * 8 + lane.y;
      thread auto& elements = accumulators[m * N_tiles + n].thread_elements();
      if (row < block.rows && column < block.columns) {
        finish(block, elements[0], C_row, row, column);
      }
      if (row < block.rows && column + 1 < block.columns) {
        finish(block, elements[1], C_row, row, column + 1);
      }
    }
  }
}

/// Row and column of the simdgroup's part of C, from the block's first on, as (column, row).
inline ushort2 part_of_block(mfa_place place) {
  return ushort2((place.simdgroup % N_splits) * N_simd, (place.simdgroup / N_splits) * M_simd);
}

inline void clear_accumulators(thread simdgroup_float8x8* accumulators) {
#pragma clang loop unroll(full)
  for (ushort i = 0; i < M_tiles * N_tiles; ++i) {
    accumulators[i] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
  }
}

/// for k in blocks of K: fill.tiles: A, B -> tiles; accumulators += A tile * B tile. Leaves the
/// sums in the stage, too, if there is one.
template <typename E, typename Fill>
inline void multiply_blocks(thread simdgroup_float8x8* accumulators, thread Fill& fill, uint depth,
                            ushort2 origin, threadgroup uchar* memory, mfa_place place) {
  const mfa_tile<E> A_tile = {reinterpret_cast<threadgroup E*>(memory), A_rows, A_columns,
                              A_leading};
  const mfa_tile<E> B_tile = {A_tile.data + uint(A_rows) * A_leading, B_rows, B_columns, B_leading};
  threadgroup float* stage = reinterpret_cast<threadgroup float*>(memory);
  for (uint k = 0; k < depth; k += K_simd) {
    const uint left = depth - k;
    fill.tiles(k, left, A_tile, B_tile, place);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    multiply(accumulators, A_tile.data + origin.y * (A_trans ? 1 : A_leading),
             B_tile.data + origin.x * (B_trans ? B_leading : 1));
    threadgroup_barrier(mem_flags::mem_threadgroup);
    // Inside the loop the accumulators are still where the multiplication left them.
    if (staged && left <= K_simd)
      stage_accumulators(accumulators, stage + origin.y * N_group + origin.x);
  }
}

/// What all simdgroups have staged, all may read.
inline void finish_stage(threadgroup float* stage, uint depth, mfa_place place) {
  if (depth == 0) clear_stage(stage, place);
  threadgroup_barrier(mem_flags::mem_threadgroup);
}

/// Columns [k, k + K_simd) of op(A), `left` of which exist -> a tile. A begins at the block.
template <typename T, typename E>
inline void load_A(const device T* A, ulong lda, uint rows, uint k, uint left, mfa_tile<E> tile,
                   mfa_place place) {
  if (A_trans) {
    load_tile(A + k * lda, lda, left, rows, tile, place);
  } else {
    load_tile(A + k, lda, rows, left, tile, place);
  }
}

template <typename T>
struct gemm_fill {
  const thread gemm_block<T>& block;

  template <typename E>
  void tiles(uint k, uint left, mfa_tile<E> A_tile, mfa_tile<E> B_tile, mfa_place place) {
    load_A(block.A, block.lda, block.rows, k, left, A_tile, place);
    if (B_trans) {
      load_tile(block.B + k, block.ldb, block.columns, left, B_tile, place);
    } else {
      load_tile(block.B + k * block.ldb, block.ldb, left, block.columns, B_tile, place);
    }
  }
};

/// The block's product -> C.
template <typename T, typename E>
inline void gemm_run(const thread gemm_block<T>& block, threadgroup uchar* memory,
                     mfa_place place) {
  const ushort2 origin = part_of_block(place);
  simdgroup_float8x8 accumulators[MFA_MAX_GEMM_MATRICES];
  clear_accumulators(accumulators);
  const uint depth = block.alpha == 0.0f ? 0 : block.K;  // as in BLAS: alpha == 0 reads no A, B
  gemm_fill<T> fill = {block};
  multiply_blocks<E>(accumulators, fill, depth, origin, memory, place);
  if (staged) {
    threadgroup float* stage = reinterpret_cast<threadgroup float*>(memory);
    finish_stage(stage, depth, place);
    store_staged(block, stage, place);
  } else {
    store_direct(block, accumulators, origin, place);
  }
}
