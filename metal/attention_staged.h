// SPDX-License-Identifier: MIT
// Attention with scores and output held, transposed and in float, in threadgroup memory: a lane
// owns query rows, so that softmax needs no exchange between lanes.
//
//   Q^T, O^T = 0, m = -inf, l = 0
//   for blocks c of columns:
//     S^T = K[c] * Q^T              A operand K, B operand Q^T
//     m' = max(m, S);  P^T = exp2(S^T - m');  l = l * exp2(m - m') + sum(P)
//     O^T = O^T * exp2(m - m') + V[c]^T * P^T
//   O = (O^T / l)^T,  LSE = m + ln(l)
#pragma once

#include <metal_simdgroup_matrix>

#include "attention.h"
#include "tile.h"

constant ushort staged_width = D_simd > D_V_simd ? D_simd : D_V_simd;
constant uint staged_KV = uint(C_simd) * staged_width;  // elements of the tile of K or V
constant ushort staged_rows = (R_simd + MFA_SIMDGROUP_SIZE - 1) / MFA_SIMDGROUP_SIZE;

#define MFA_MAX_STAGED_ROWS (MFA_MAX_ATTENTION_SIMD / MFA_SIMDGROUP_SIZE)

/// The areas of threadgroup memory. Q^T, S and O^T begin at the simdgroup's
/// first row.
struct staged_memory {
  threadgroup float *Q, *KV, *S, *O;
};

/// Row statistics; a lane owns staged_rows of them.
struct staged_rows_state {
  float m[MFA_MAX_STAGED_ROWS], l[MFA_MAX_STAGED_ROWS], correction[MFA_MAX_STAGED_ROWS];
};

/// A tile in its operand's orientation.
inline mfa_tile<float> staged_tile(threadgroup float* data, bool rows, ushort sequence,
                                   ushort size) {
  if (rows) return {data, sequence, size, size};
  return {data, size, sequence, sequence};
}

/// Q -> Q^T. Contiguous rows pass through the area of K and V, C_simd of them at a time.
template <typename T>
inline void staged_queries(const thread attention_block<T>& block, threadgroup float* Q,
                           threadgroup float* KV, mfa_place place) {
  if (!Q_rows) {
    load_operand(block.Q, false, block.r, block.R, block.D, staged_tile(Q, false, R_group, D_simd),
                 place);
    return;
  }
  for (ushort r = 0; r < R_group; r += C_simd) {
    const ushort rows = min(C_simd, ushort(R_group - r));
    load_operand(block.Q, true, block.r + r, block.R, block.D, staged_tile(KV, true, rows, D_simd),
                 place);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    transpose_tile(KV, D_simd, Q + r, R_group, rows, D_simd, place);
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
}

/// O^T -> O, by way of the area of K and V as well.
template <typename T>
inline void staged_output(const thread attention_block<T>& block, threadgroup float* O,
                          threadgroup float* KV, mfa_place place) {
  const uint left = min(uint(R_group), block.R - block.r);
  if (!O_rows) {
    for (uint d = place.simdgroup; d < block.D_V; d += place.simdgroups) {
      const ulong to = d * block.O.leading + block.r;
      for (ushort r = 0; r < left; r += MFA_SIMDGROUP_SIZE) {
        const ulong row = r + place.lane;
        if (row < left) store_output(block.O.data, to + row, O[d * R_group + row]);
      }
    }
    return;
  }
  for (ushort first = 0; first < left; first += C_simd) {
    const ushort rows = min(C_simd, ushort(R_group - first));
    transpose_tile(O + first, R_group, KV, D_V_simd, D_V_simd, rows, place);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint r = place.simdgroup; r < min(uint(rows), left - first); r += place.simdgroups) {
      const ulong to = (block.r + first + r) * block.O.leading;
      const threadgroup float* from = KV + r * D_V_simd;
      for (ushort d = 0; d < block.D_V; d += MFA_SIMDGROUP_SIZE) {
        const ulong column = d + place.lane;
        if (column < block.D_V) store_output(block.O.data, to + column, from[column]);
      }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
}

/// S^T = K * Q^T for the simdgroup's rows.
inline void staged_scores(staged_memory memory) {
#pragma clang loop unroll(disable)
  for (ushort c = 0; c < C_simd; c += 8) {
    simdgroup_float8x8 S[MFA_MAX_ATTENTION_SIMD / 8];
#pragma clang loop unroll(full)
    for (ushort r = 0; r < R_simd; r += 8) {
      S[r / 8] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
    }
#pragma clang loop unroll(full)
    for (ushort d = 0; d < D_simd; d += 8) {
      simdgroup_float8x8 K;
      if (K_rows) {
        simdgroup_load(K, memory.KV + uint(c) * D_simd + d, D_simd);
      } else {
        simdgroup_load(K, memory.KV + c + d * C_simd, C_simd, ulong2(0), true);
      }
#pragma clang loop unroll(full)
      for (ushort r = 0; r < R_simd; r += 8) {
        simdgroup_float8x8 Q;
        simdgroup_load(Q, memory.Q + d * R_group + r, R_group);
        simdgroup_multiply_accumulate(S[r / 8], K, Q, S[r / 8]);
      }
    }
#pragma clang loop unroll(full)
    for (ushort r = 0; r < R_simd; r += 8) {
      simdgroup_store(S[r / 8], memory.S + uint(c) * R_group + r, R_group);
    }
  }
}

/// O^T += V^T * P^T for the simdgroup's rows.
inline void staged_values(staged_memory memory) {
#pragma clang loop unroll(disable)
  for (ushort d = 0; d < D_V_simd; d += 8) {
    threadgroup float* to = memory.O + uint(d) * R_group;
    simdgroup_float8x8 O[MFA_MAX_ATTENTION_SIMD / 8];
#pragma clang loop unroll(full)
    for (ushort r = 0; r < R_simd; r += 8) simdgroup_load(O[r / 8], to + r, R_group);
#pragma clang loop unroll(full)
    for (ushort c = 0; c < C_simd; c += 8) {
      simdgroup_float8x8 V;
      if (V_rows) {
        simdgroup_load(V, memory.KV + d + c * D_V_simd, D_V_simd, ulong2(0), true);
      } else {
        simdgroup_load(V, memory.KV + uint(d) * C_simd + c, C_simd);
      }
#pragma clang loop unroll(full)
      for (ushort r = 0; r < R_simd; r += 8) {
        simdgroup_float8x8 P;
        simdgroup_load(P, memory.S + c * R_group + r, R_group);
        simdgroup_multiply_accumulate(O[r / 8], V, P, O[r / 8]);
      }
    }
#pragma clang loop unroll(full)
    for (ushort r = 0; r < R_simd; r += 8) simdgroup_store(O[r / 8], to + r, R_group);
  }
}

/// S^T = scaled S^T + (mask + bias)^T. Rows of the addends pass through the area of K and V.
template <typename T>
inline void staged_mask(const thread attention_block<T>& block, threadgroup float* S,
                        threadgroup float* KV, uint first, mfa_place place) {
  const uint columns = min(uint(C_simd), block.C - first);
  for (ushort part = 0; part < R_group; part += staged_width) {
    const ushort rows = min(staged_width, ushort(R_group - part));
    for (ushort r = place.simdgroup; r < rows; r += place.simdgroups) {
      const uint row = min(block.r + part + r, block.R - 1);
      for (ushort c = 0; c < C_simd; c += MFA_SIMDGROUP_SIZE) {
        const ulong column = c + place.lane;
        float addend = nothing;
        if (column < columns) addend = score_addend(block.scores, row, first + column);
        if (column < C_simd) KV[r * C_simd + column] = addend;
      }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (ushort r = place.simdgroup * 8; r < rows; r += place.simdgroups * 8) {
      for (ushort c = 0; c < C_simd; c += 8) {
        simdgroup_float8x8 addends, scores;
        simdgroup_load(addends, KV + r * C_simd + c, C_simd, ulong2(0), true);
        simdgroup_load(scores, S + uint(c) * R_group + part + r, R_group);
        thread auto& s = scores.thread_elements();
        const thread auto& a = addends.thread_elements();
        s[0] = a[0] <= nothing ? nothing : score_scaled(block.scores, s[0]) + a[0];
        s[1] = a[1] <= nothing ? nothing : score_scaled(block.scores, s[1]) + a[1];
        simdgroup_store(scores, S + uint(c) * R_group + part + r, R_group);
      }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
}

/// What is left to do to the scores of a block. Uniform.
struct staged_guards {
  bool scaled;     // mask and bias have been applied already, and with them the scale
  bool broadcast;  // mask and bias are the same for all rows
  bool edge;       // the block reaches over the diagonal, the window or the last column
};

/// A logit and what the distance of key and query adds to it.
inline float positioned(const thread attention_scores& scores, float logit, uint row, uint column) {
  return logit <= nothing ? nothing : logit + score_position(scores, row, column);
}

/// Scores of one row -> logits in log2 units, in place; returns their maximum. `first` is the
/// block's first column, `row` the query.
template <typename T>
inline float staged_logits(const thread attention_block<T>& block, threadgroup float* S, uint first,
                           uint row, staged_guards guards) {
  const thread attention_scores& scores = block.scores;
  float maximum = nothing;
  if (!guards.broadcast && !guards.edge) {
#pragma clang loop unroll_count(4)
    for (ushort c = 0; c < C_simd; ++c) {
      float logit = S[c * R_group];
      if (!guards.scaled) logit = score_scaled(scores, logit);
      if (alibi) logit = positioned(scores, logit, row, first + c);
      S[c * R_group] = logit;
      maximum = max(maximum, logit);
    }
    return maximum;
  }
  for (ushort c = 0; c < C_simd; ++c) {
    float logit = nothing;
    if (first + c < block.C) {
      logit = S[c * R_group];
      if (!guards.scaled) logit = score_scaled(scores, logit);
      if (alibi) logit = positioned(scores, logit, row, first + c);
      if (guards.broadcast) {
        const float addend = score_addend(scores, 0, first + c);
        logit = addend <= nothing ? nothing : logit + addend;
      }
      logit = score_attends(scores, row, first + c) ? logit : nothing;
    }
    S[c * R_group] = logit;
    maximum = max(maximum, logit);
  }
  return maximum;
}

/// Weights of one row that dropout takes out become 0.
template <typename T>
inline void staged_dropout(const thread attention_block<T>& block, threadgroup float* S, uint first,
                           uint row) {
  for (ushort c = 0; c < C_simd; c += 4) {
    const uint4 words = dropout_words(block.scores, row, (first + c) / 4);
#pragma clang loop unroll(full)
    for (ushort i = 0; i < 4; ++i) {
      const ushort at = (c + i) * R_group;
      S[at] = dropout_keeps(block.scores, words[i]) ? S[at] : 0.0f;
    }
  }
}

/// Logits -> weights, in place; the lane's m, l and correction follow.
template <typename T>
inline void staged_softmax(const thread attention_block<T>& block, threadgroup float* S, uint first,
                           staged_guards guards, thread staged_rows_state& state, ushort origin,
                           ulong lane) {
  guards.edge = score_bounded(block.scores, block.r + origin, block.r + origin + R_simd, first,
                              first + C_simd);
#pragma clang loop unroll(full)
  for (ushort i = 0; i < staged_rows; ++i) {
    const ulong r = i * MFA_SIMDGROUP_SIZE + lane;
    if (R_simd % MFA_SIMDGROUP_SIZE == 0 || r < R_simd) {
      const float m =
          max(state.m[i], staged_logits(block, S + r, first, block.r + origin + r, guards));
      const float base = row_base(m);
      float sum = 0.0f;
#pragma clang loop unroll_count(4)
      for (ushort c = 0; c < C_simd; ++c) {
        const float p = fast::exp2(S[r + c * R_group] - base);
        S[r + c * R_group] = p;
        sum += p;
      }
      state.correction[i] = fast::exp2(state.m[i] - base);
      state.l[i] = fma(state.l[i], state.correction[i], sum);
      state.m[i] = m;
      if (dropout) staged_dropout(block, S + r, first, uint(block.r + origin + r));
    }
  }
}

/// O^T's columns times a factor per row, unless all factors are 1.
inline void staged_rescale(threadgroup float* O, const thread float* factors, ulong lane) {
#pragma clang loop unroll(full)
  for (ushort i = 0; i < staged_rows; ++i) {
    const ulong r = i * MFA_SIMDGROUP_SIZE + lane;
    const bool owned = R_simd % MFA_SIMDGROUP_SIZE == 0 || r < R_simd;
    if (simd_any(owned && factors[i] != 1.0f)) {
      for (ushort d = 0; d < D_V_simd; ++d) {
        if (owned) O[r + uint(d) * R_group] *= factors[i];
      }
    }
  }
}

/// O^T / l, and the log-sum-exp.
template <typename T>
inline void staged_finish(const thread attention_block<T>& block, threadgroup float* O,
                          const thread staged_rows_state& state, ushort origin, ulong lane) {
  float factors[MFA_MAX_STAGED_ROWS];
#pragma clang loop unroll(full)
  for (ushort i = 0; i < staged_rows; ++i) {
    factors[i] = output_factor(block, state.l[i]);
    const ulong r = i * MFA_SIMDGROUP_SIZE + lane;
    const uint row = block.r + origin + r;
    if (write_lse && r < R_simd && row < block.R) {
      block.lse[row] = log_sum_exp(state.m[i], state.l[i]);
    }
  }
  staged_rescale(O, factors, lane);
}

template <typename T>
inline void attention_staged(const thread attention_block<T>& block, threadgroup uchar* bytes,
                             mfa_place place) {
  threadgroup float* memory = reinterpret_cast<threadgroup float*>(bytes);
  const ushort origin = place.simdgroup * R_simd;
  threadgroup float* Q = memory;
  threadgroup float* KV = Q + uint(D_simd) * R_group;
  threadgroup float* S = KV + staged_KV;
  threadgroup float* O = S + uint(C_simd) * R_group;
  const staged_memory own = {Q + origin, KV, S + origin, O + origin};
  const mfa_tile<float> K_tile = staged_tile(KV, K_rows, C_simd, D_simd);
  const mfa_tile<float> V_tile = staged_tile(KV, V_rows, C_simd, D_V_simd);

  staged_queries(block, Q, KV, place);
  staged_rows_state state;
#pragma clang loop unroll(full)
  for (ushort i = 0; i < staged_rows; ++i) {
    state.m[i] = first_maximum(block);
    state.l[i] = first_sum(block);
    state.correction[i] = 1.0f;
  }
  for (uint i = place.simdgroup * MFA_SIMDGROUP_SIZE; i < uint(D_V_simd) * R_group;
       i += place.simdgroups * MFA_SIMDGROUP_SIZE) {
    O[i + place.lane] = 0.0f;
  }

  for (uint c = block.columns.x / C_simd * C_simd; c < block.columns.y; c += C_simd) {
    const uchar summary = block_sparse ? block.block_mask[c / C_simd] : MFA_BLOCK_MASKED;
    if (summary == MFA_BLOCK_SKIP) continue;
    const bool masked = has_addend && summary == MFA_BLOCK_MASKED;
    const bool broadcast = masked && score_addend_repeats(block.scores);
    const staged_guards guards = {masked && !broadcast, broadcast, false};

    load_operand(block.K, K_rows, c, block.C, block.D, K_tile, place);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    staged_scores(own);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (guards.scaled) staged_mask(block, S, KV, c, place);
    load_operand(block.V, V_rows, c, block.C, block.D_V, V_tile, place);
    staged_softmax(block, own.S, c, guards, state, origin, place.lane);
    staged_rescale(own.O, state.correction, place.lane);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    staged_values(own);
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  staged_finish(block, own.O, state, origin, place.lane);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  staged_output(block, O, KV, place);
}
