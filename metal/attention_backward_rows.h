// SPDX-License-Identifier: MIT
// dQ of a block of rows: one pass over the columns that they see. A lane looks after rows.
//
//   Q^T, dO^T, L, D;  dQ = 0
//   for blocks c of columns:
//     S^T = K[c] * Q^T;  dP^T = V[c] * dO^T
//     P^T = exp(S^T - L);  dS^T = slope P^T (dP^T - D)
//     dQ += dS * K[c]
#pragma once

#include "attention_backward.h"

/// What mask and bias add, [C][R]. Their rows pass through `spare`, which has as many elements.
template <typename T>
inline void turned_addends(const thread attention_block<T>& block, threadgroup float* addends,
                           threadgroup float* spare, uint first, mfa_place place) {
  const uint columns = min(uint(C_simd), block.C - first);
  for (ushort r = place.simdgroup; r < R_group; r += place.simdgroups) {
    const uint row = min(block.r + r, block.R - 1);
    for (ushort c = 0; c < C_simd; c += MFA_SIMDGROUP_SIZE) {
      const ulong column = c + place.lane;
      float addend = nothing;
      if (column < columns) addend = score_addend(block.scores, row, first + column);
      if (column < C_simd) spare[r * C_simd + column] = addend;
    }
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  transpose_tile(spare, C_simd, addends, R_group, R_group, C_simd, place);
  threadgroup_barrier(mem_flags::mem_threadgroup);
}

/// A row of S^T, dP^T and the addends, and where it begins.
struct turned_row {
  threadgroup float* S;
  const threadgroup float* dP;
  const threadgroup float* addends;  // null: nothing is added
  uint row, first;
};

/// S^T and dP^T -> dS^T, which replaces S^T, for one row and every `step`th of its columns.
inline void turned_gradients(const thread attention_scores& scores, turned_row at, float base,
                             float sum, bool edge, ushort begin, ushort step) {
  for (ushort c = begin; c < C_simd; c += step) {
    const uint i = uint(c) * R_group;
    const float addend = has_addend && at.addends != nullptr ? at.addends[i] : 0.0f;
    const backward_element e = {base, sum, addend, at.row, at.first + c, edge};
    const float product = at.S[i], p = backward_weight(scores, product, e);
    at.S[i] = backward_gradient(scores, product, p, at.dP[i], 1.0f, sum);
  }
}

/// The same with dropout, whose words come in fours.
inline void turned_dropped_gradients(const thread attention_scores& scores, turned_row at,
                                     float base, float sum, ushort begin, ushort step) {
  for (ushort four = begin * 4; four < C_simd; four += step * 4) {
    const uint4 words = dropout_words(scores, at.row, (at.first + four) / 4);
#pragma clang loop unroll(full)
    for (ushort j = 0; j < 4; ++j) {
      const ushort c = four + j;
      const uint i = uint(c) * R_group;
      const float addend = has_addend && at.addends != nullptr ? at.addends[i] : 0.0f;
      const backward_element e = {base, sum, addend, at.row, at.first + c, true};
      const float product = at.S[i], p = backward_weight(scores, product, e);
      const float kept = backward_kept(scores, words[j]);
      at.S[i] = backward_gradient(scores, product, p, at.dP[i], kept, sum);
    }
  }
}

template <typename T, typename E>
inline void backward_rows_pass(const thread backward_block<T, E>& block, threadgroup uchar* bytes,
                               mfa_place place) {
  const thread attention_block<T>& f = block.forward;
  const uint square = uint(C_simd) * R_group;
  threadgroup float* Q = reinterpret_cast<threadgroup float*>(bytes);  // [D][R], Q^T
  threadgroup float* dO = Q + uint(D_simd) * R_group;                  // [D_V][R], dO^T
  threadgroup float* K = dO + uint(D_V_simd) * R_group;                // [C][D]
  threadgroup float* V = K + uint(D_simd) * C_simd;                    // [C][D_V]
  threadgroup float* S = V + uint(D_V_simd) * C_simd;                  // [C][R]
  threadgroup float* dP = S + square;                                  // [C][R]
  threadgroup float* dQ = dP + square;                                 // [R][D]
  threadgroup float* addends = dQ + uint(R_group) * D_simd;            // [C][R], has_addend

  load_turned(f.Q, Q_rows, f.r, f.R, f.D, Q, R_group, D_simd, K, uint(D_simd) * C_simd, place);
  load_turned(block.dO, dO_rows, f.r, f.R, f.D_V, dO, R_group, D_V_simd, V, uint(D_V_simd) * C_simd,
              place);
  clear_area(dQ, uint(R_group) * D_simd, place);
  float base[MFA_MAX_BACKWARD_LANES], sum[MFA_MAX_BACKWARD_LANES];
#pragma clang loop unroll(full)
  for (ushort i = 0; i < backward_lane_rows; ++i) {
    const uint row = f.r + i * MFA_SIMDGROUP_SIZE + uint(place.lane);
    base[i] = backward_base(block, row);
    sum[i] = backward_sum(block, row);
  }

  for (uint c = f.columns.x / C_simd * C_simd; c < f.columns.y; c += C_simd) {
    const uchar summary = backward_summary(block, f.r, c);
    if (summary == MFA_BLOCK_SKIP) continue;
    const bool masked = has_addend && summary == MFA_BLOCK_MASKED;
    const bool edge = backward_edge(f, f.r, c);

    load_upright(f.K, K_rows, c, f.C, f.D, K, C_simd, D_simd, S, square, place);
    load_upright(f.V, V_rows, c, f.C, f.D_V, V, C_simd, D_V_simd, S, square, place);
    if (masked) turned_addends(f, addends, dP, c, place);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    const product_side K_side = {K, D_simd, false}, V_side = {V, D_V_simd, false};
    multiply_block(S, R_group, K_side, Q, R_group, C_simd, R_group, D_simd, false, place);
    multiply_block(dP, R_group, V_side, dO, R_group, C_simd, R_group, D_V_simd, false, place);
    threadgroup_barrier(mem_flags::mem_threadgroup);
#pragma clang loop unroll(full)
    for (ushort i = 0; i < backward_lane_rows; ++i) {
      const ulong r = i * MFA_SIMDGROUP_SIZE + place.lane;
      if (R_group % MFA_SIMDGROUP_SIZE == 0 || r < R_group) {
        const threadgroup float* added = masked ? addends + r : nullptr;
        const turned_row at = {S + r, dP + r, added, f.r + uint(r), c};
        if (dropout) {
          turned_dropped_gradients(f.scores, at, base[i], sum[i], place.simdgroup,
                                   place.simdgroups);
        } else if (edge || masked) {
          turned_gradients(f.scores, at, base[i], sum[i], true, place.simdgroup, place.simdgroups);
        } else {
          turned_gradients(f.scores, at, base[i], sum[i], false, place.simdgroup, place.simdgroups);
        }
      }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    const product_side dS_side = {S, R_group, true};
    multiply_block(dQ, D_simd, dS_side, K, D_simd, R_group, D_simd, C_simd, true, place);
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  store_upright(block.dQ, dQ_rows, f.r, f.R, f.D, dQ, R_group, D_simd, place);
}
