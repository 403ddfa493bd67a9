// SPDX-License-Identifier: MIT
// Attention with queries, scores and output held in simdgroup matrices: threadgroup memory holds
// one tile of Q, K or V at a time, in the operand's own orientation, as in MFA 1.0.
//
//   O = 0, m = -inf, l = 0;  Q -> registers
//   for blocks c of columns:
//     S = Q * K[c]^T
//     m' = max(m, S);  P = exp2(S - m');  l = l * exp2(m - m') + sum(P)
//     O = O * exp2(m - m') + P * V[c]
//   O = O / l,  LSE = m + ln(l)
#pragma once

#include <metal_simdgroup_matrix>

#include "attention.h"
#include "tile.h"

constant ushort R_tiles = R_simd / 8;
constant ushort C_tiles = C_simd / 8;
constant ushort D_tiles = D_simd / 8;
constant ushort D_V_tiles = D_V_simd / 8;

/// One simdgroup's registers. Row statistics belong to the lane's row of each row of matrices.
template <typename T>
struct direct_state {
  simdgroup_matrix<T, 8, 8> Q[MFA_MAX_ATTENTION_MATRICES];
  simdgroup_float8x8 S[MFA_MAX_ATTENTION_MATRICES];
  simdgroup_float8x8 O[MFA_MAX_ATTENTION_MATRICES];
  float m[MFA_MAX_ATTENTION_SIMD / 8], l[MFA_MAX_ATTENTION_SIMD / 8];
};

template <typename T>
inline void direct_queries(thread direct_state<T>& state, const threadgroup T* tile) {
#pragma clang loop unroll(full)
  for (ushort r = 0; r < R_tiles; ++r) {
#pragma clang loop unroll(full)
    for (ushort d = 0; d < D_tiles; ++d) {
      if (Q_rows) {
        simdgroup_load(state.Q[r * D_tiles + d], tile + r * 8 * D_block + d * 8, D_block);
      } else {
        simdgroup_load(state.Q[r * D_tiles + d], tile + d * 8 * R_block + r * 8, R_block, ulong2(0),
                       true);
      }
    }
  }
}

template <typename T>
inline void direct_scores(thread direct_state<T>& state, const threadgroup T* tile) {
#pragma clang loop unroll(full)
  for (ushort i = 0; i < R_tiles * C_tiles; ++i) {
    state.S[i] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
  }
#pragma clang loop unroll(full)
  for (ushort d = 0; d < D_tiles; ++d) {
#pragma clang loop unroll(full)
    for (ushort c = 0; c < C_tiles; ++c) {
      simdgroup_matrix<T, 8, 8> K;
      if (K_rows) {
        simdgroup_load(K, tile + c * 8 * D_block + d * 8, D_block, ulong2(0), true);
      } else {
        simdgroup_load(K, tile + d * 8 * C_block + c * 8, C_block);
      }
#pragma clang loop unroll(full)
      for (ushort r = 0; r < R_tiles; ++r) {
        simdgroup_multiply_accumulate(state.S[r * C_tiles + c], state.Q[r * D_tiles + d], K,
                                      state.S[r * C_tiles + c]);
      }
    }
  }
}

template <typename T>
inline void direct_values(thread direct_state<T>& state, const threadgroup T* tile) {
#pragma clang loop unroll(full)
  for (ushort c = 0; c < C_tiles; ++c) {
#pragma clang loop unroll(full)
    for (ushort d = 0; d < D_V_tiles; ++d) {
      simdgroup_matrix<T, 8, 8> V;
      if (V_rows) {
        simdgroup_load(V, tile + c * 8 * D_V_block + d * 8, D_V_block);
      } else {
        simdgroup_load(V, tile + d * 8 * C_block + c * 8, C_block, ulong2(0), true);
      }
#pragma clang loop unroll(full)
      for (ushort r = 0; r < R_tiles; ++r) {
        simdgroup_multiply_accumulate(state.O[r * D_V_tiles + d], state.S[r * C_tiles + c], V,
                                      state.O[r * D_V_tiles + d]);
      }
    }
  }
}

/// Weight of an element after dropout; `words` are those of its quad of columns.
template <typename T>
inline float direct_dropped(const thread attention_block<T>& block, float p, uint word) {
  return dropout_keeps(block.scores, word) ? p : 0.0f;
}

/// Scores -> weights; m, l and O follow. A row lies in the four lanes that differ in bits 0 and 3.
template <typename T>
inline void direct_softmax(const thread attention_block<T>& block, thread direct_state<T>& state,
                           uint first_row, uint first, bool masked, ushort2 lane) {
  const bool edge =
      score_bounded(block.scores, first_row, first_row + R_simd, first, first + C_simd);
#pragma clang loop unroll(full)
  for (ushort r = 0; r < R_tiles; ++r) {
    const uint row = min(first_row + r * 8 + lane.x, block.R - 1);
    float m = state.m[r];
#pragma clang loop unroll(full)
    for (ushort c = 0; c < C_tiles; ++c) {
      thread auto& s = state.S[r * C_tiles + c].thread_elements();
      const uint column = first + c * 8 + lane.y;
      s[0] = score_logit(block.scores, s[0], row, column, masked, edge);
      s[1] = score_logit(block.scores, s[1], row, column + 1, masked, edge);
      m = max(m, max(s[0], s[1]));
    }
    m = max(m, simd_shuffle_xor(m, 1));
    m = max(m, simd_shuffle_xor(m, 8));

    const float base = row_base(m);
    float sum = 0.0f;
#pragma clang loop unroll(full)
    for (ushort c = 0; c < C_tiles; ++c) {
      thread auto& s = state.S[r * C_tiles + c].thread_elements();
      s[0] = fast::exp2(s[0] - base);
      s[1] = fast::exp2(s[1] - base);
      sum += s[0] + s[1];
      if (dropout) {
        const uint column = first + c * 8 + lane.y;
        const uint4 words = dropout_words(block.scores, row, column / 4);
        s[0] = direct_dropped(block, s[0], lane.y % 4 == 0 ? words.x : words.z);
        s[1] = direct_dropped(block, s[1], lane.y % 4 == 0 ? words.y : words.w);
      }
    }
    sum += simd_shuffle_xor(sum, 1);
    sum += simd_shuffle_xor(sum, 8);

    const float correction = fast::exp2(state.m[r] - base);
    state.l[r] = fma(state.l[r], correction, sum);
    state.m[r] = m;
#pragma clang loop unroll(full)
    for (ushort d = 0; d < D_V_tiles; ++d) {
      thread auto& o = state.O[r * D_V_tiles + d].thread_elements();
      o[0] *= correction;
      o[1] *= correction;
    }
  }
}

template <typename T>
inline void direct_store(const thread attention_block<T>& block, thread direct_state<T>& state,
                         uint first_row, ushort2 lane) {
  const ulong row_stride = O_rows ? block.O.leading : 1,
              column_stride = O_rows ? 1 : block.O.leading;
#pragma clang loop unroll(full)
  for (ushort r = 0; r < R_tiles; ++r) {
    const uint row = first_row + r * 8 + lane.x;
    const float factor = output_factor(block, state.l[r]);
#pragma clang loop unroll(full)
    for (ushort d = 0; d < D_V_tiles; ++d) {
      thread auto& o = state.O[r * D_V_tiles + d].thread_elements();
      const uint column = d * 8 + lane.y;
      const ulong to = row * row_stride + column * column_stride;
      if (row < block.R && column < block.D_V) store_output(block.O.data, to, o[0] * factor);
      if (row < block.R && column + 1 < block.D_V) {
        store_output(block.O.data, to + column_stride, o[1] * factor);
      }
    }
    if (write_lse && lane.y == 0 && row < block.R) {
      block.lse[row] = log_sum_exp(state.m[r], state.l[r]);
    }
  }
}

template <typename T>
inline void attention_direct(const thread attention_block<T>& block, threadgroup uchar* bytes,
                             mfa_place place) {
  threadgroup T* memory = reinterpret_cast<threadgroup T*>(bytes);
  const mfa_tile<T> Q_tile = {memory, Q_rows ? R_group : D_simd, Q_rows ? D_simd : R_group,
                              Q_rows ? D_block : R_block};
  const mfa_tile<T> K_tile = {memory, K_rows ? C_simd : D_simd, K_rows ? D_simd : C_simd,
                              K_rows ? D_block : C_block};
  const mfa_tile<T> V_tile = {memory, V_rows ? C_simd : D_V_simd, V_rows ? D_V_simd : C_simd,
                              V_rows ? D_V_block : C_block};
  const ushort2 lane = matrix_place(ushort(place.lane));
  const ushort origin = place.simdgroup * R_simd;
  const uint first_row = block.r + origin;

  direct_state<T> state;
  load_operand(block.Q, Q_rows, block.r, block.R, block.D, Q_tile, place);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  direct_queries(state, memory + origin * (Q_rows ? D_block : 1));
  threadgroup_barrier(mem_flags::mem_threadgroup);
#pragma clang loop unroll(full)
  for (ushort i = 0; i < R_tiles * D_V_tiles; ++i) {
    state.O[i] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
  }
#pragma clang loop unroll(full)
  for (ushort r = 0; r < R_tiles; ++r) {
    state.m[r] = first_maximum(block);
    state.l[r] = first_sum(block);
  }

  for (uint c = block.columns.x / C_simd * C_simd; c < block.columns.y; c += C_simd) {
    const uchar summary = block_sparse ? block.block_mask[c / C_simd] : MFA_BLOCK_MASKED;
    if (summary == MFA_BLOCK_SKIP) continue;
    const bool masked = has_addend && summary == MFA_BLOCK_MASKED;

    load_operand(block.K, K_rows, c, block.C, block.D, K_tile, place);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    direct_scores(state, memory);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    load_operand(block.V, V_rows, c, block.C, block.D_V, V_tile, place);
    direct_softmax(block, state, first_row, c, masked, lane);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    direct_values(state, memory);
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
  direct_store(block, state, first_row, lane);
}
