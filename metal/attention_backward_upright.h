// SPDX-License-Identifier: MIT
// P and dS of a block, [R][C], for the passes in which K and V stay and Q and dO move. A lane looks
// after columns.
#pragma once

#include "attention_backward.h"

/// The areas of threadgroup memory.
struct upright_memory {
  threadgroup float *K, *V;   // [D][C], [D_V][C]: K^T and V^T
  threadgroup float *Q, *dO;  // [R][D], [R][D_V]
  threadgroup float *S, *dP;  // [R][C]
  threadgroup float* end;     // the areas of the pass itself follow
};

inline upright_memory upright_areas(threadgroup uchar* bytes) {
  upright_memory m;
  m.K = reinterpret_cast<threadgroup float*>(bytes);
  m.V = m.K + uint(D_simd) * C_simd;
  m.Q = m.V + uint(D_V_simd) * C_simd;
  m.dO = m.Q + uint(D_simd) * R_group;
  m.S = m.dO + uint(D_V_simd) * R_group;
  m.dP = m.S + uint(C_simd) * R_group;
  m.end = m.dP + uint(C_simd) * R_group;
  return m;
}

/// K^T and V^T from column `first` on.
template <typename T, typename E>
inline void upright_columns(const thread backward_block<T, E>& block, upright_memory m, uint first,
                            mfa_place place) {
  const thread attention_block<T>& f = block.forward;
  load_turned(f.K, K_rows, first, f.C, f.D, m.K, C_simd, D_simd, m.Q, uint(D_simd) * R_group,
              place);
  load_turned(f.V, V_rows, first, f.C, f.D_V, m.V, C_simd, D_V_simd, m.dO, uint(D_V_simd) * R_group,
              place);
}

/// S -> Z P and dP -> dS of one row, in place.
template <typename T, typename E>
inline void upright_row(const thread backward_block<T, E>& block, threadgroup float* S,
                        threadgroup float* dP, uint row, uint first, bool masked, bool edge,
                        mfa_place place) {
  const thread attention_scores& scores = block.forward.scores;
  const float base = backward_base(block, row), sum = backward_sum(block, row);
#pragma clang loop unroll(full)
  for (ushort i = 0; i < backward_lane_columns; ++i) {
    const ulong c = i * MFA_SIMDGROUP_SIZE + place.lane;
    if (C_simd % MFA_SIMDGROUP_SIZE == 0 || c < C_simd) {
      const uint column = first + uint(c);
      float addend = 0.0f;
      if (has_addend && masked) {
        addend = nothing;
        if (column < block.forward.C) {
          addend = score_addend(scores, min(row, block.forward.R - 1), first + c);
        }
      }
      const backward_element e = {base, sum, addend, row, column, edge};
      const float product = S[c], p = backward_weight(scores, product, e);
      float kept = 1.0f;
      if (dropout) {
        const uint4 words = dropout_words(scores, row, column / 4);
        const uint low = column % 2 == 0 ? words.x : words.y;
        const uint high = column % 2 == 0 ? words.z : words.w;
        kept = backward_kept(scores, column % 4 < 2 ? low : high);
      }
      S[c] = dropout ? p * kept : p;
      dP[c] = backward_gradient(scores, product, p, dP[c], kept, sum);
    }
  }
}

/// Q, dO, then Z P in S and dS in dP, for block (row, first).
template <typename T, typename E>
inline void upright_block(const thread backward_block<T, E>& block, upright_memory m, uint row,
                          uint first, bool masked, mfa_place place) {
  const thread attention_block<T>& f = block.forward;
  const uint square = uint(C_simd) * R_group;
  load_upright(f.Q, Q_rows, row, f.R, f.D, m.Q, R_group, D_simd, m.S, square, place);
  load_upright(block.dO, dO_rows, row, f.R, f.D_V, m.dO, R_group, D_V_simd, m.S, square, place);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  const product_side Q_side = {m.Q, D_simd, false}, dO_side = {m.dO, D_V_simd, false};
  multiply_block(m.S, C_simd, Q_side, m.K, C_simd, R_group, C_simd, D_simd, false, place);
  multiply_block(m.dP, C_simd, dO_side, m.V, C_simd, R_group, C_simd, D_V_simd, false, place);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  const bool edge = backward_edge(f, row, first);
  for (ushort r = place.simdgroup; r < R_group; r += place.simdgroups) {
    threadgroup float* S = m.S + uint(r) * C_simd;
    threadgroup float* dP = m.dP + uint(r) * C_simd;
    if (edge || masked) {
      upright_row(block, S, dP, row + r, first, masked, true, place);
    } else {
      upright_row(block, S, dP, row + r, first, false, false, place);
    }
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
}
