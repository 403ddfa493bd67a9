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
constant ushort staged_rows = (R_simd + MFA_SIMDGROUP_SIZE - 1) / MFA_SIMDGROUP_SIZE;

#define MFA_MAX_STAGED_ROWS (MFA_MAX_ATTENTION_SIMD / MFA_SIMDGROUP_SIZE)

/// The areas of threadgroup memory. S and O^T begin at the simdgroup's first row.
struct staged_memory {
  threadgroup float *Q, *KV, *S, *O;
};

/// Row statistics; a lane owns staged_rows of them.
struct staged_rows_state {
  float m[MFA_MAX_STAGED_ROWS], l[MFA_MAX_STAGED_ROWS], correction[MFA_MAX_STAGED_ROWS];
};

/// S^T = K * Q^T for the simdgroup's rows.
inline void staged_scores(staged_memory memory, ushort origin) {
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
      simdgroup_load(K, memory.KV + uint(c) * staged_width + d, staged_width);
#pragma clang loop unroll(full)
      for (ushort r = 0; r < R_simd; r += 8) {
        simdgroup_float8x8 Q;
        simdgroup_load(Q, memory.Q + origin + d * R_group + r, R_group);
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
    threadgroup float *to = memory.O + uint(d) * R_group;
    simdgroup_float8x8 O[MFA_MAX_ATTENTION_SIMD / 8];
#pragma clang loop unroll(full)
    for (ushort r = 0; r < R_simd; r += 8) simdgroup_load(O[r / 8], to + r, R_group);
#pragma clang loop unroll(full)
    for (ushort c = 0; c < C_simd; c += 8) {
      simdgroup_float8x8 V;
      simdgroup_load(V, memory.KV + d + c * staged_width, staged_width, ulong2(0), true);
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

/// Scores of one row -> logits in log2 units, in place; returns their maximum. `first` is the
/// block's first column, `row` the query. The uniform cases without guards come first.
template <typename T>
inline float staged_logits(const thread attention_block<T> &block, threadgroup float *S, uint first,
                           uint row, bool masked, bool diagonal) {
  float maximum = nothing;
  if (!masked && !diagonal && first + C_simd <= block.C) {
#pragma clang loop unroll_count(4)
    for (ushort c = 0; c < C_simd; ++c) {
      const float logit = S[c * R_group] * block.scale;
      S[c * R_group] = logit;
      maximum = max(maximum, logit);
    }
    return maximum;
  }
  const int last = diagonal ? int(row) + block.causal_offset : int(block.C) - 1;
  const uint mask_row = min(row, block.R - 1);
  for (ushort c = 0; c < C_simd; ++c) {
    float logit = nothing;
    if (first + c < block.C) {
      const float score = S[c * R_group];
      logit = masked ? masked_score(block.mask, score, block.scale, mask_row, first + c)
                     : score * block.scale;
      logit = int(first + c) <= last ? logit : nothing;
    }
    S[c * R_group] = logit;
    maximum = max(maximum, logit);
  }
  return maximum;
}

/// Logits -> weights, in place; the lane's m, l and correction follow.
template <typename T>
inline void staged_softmax(const thread attention_block<T> &block, threadgroup float *S, uint first,
                           bool masked, thread staged_rows_state &state, ushort origin,
                           ushort lane) {
  const bool diagonal = causal != MFA_CAUSAL_NONE &&
                        int(first + C_simd) - 1 > int(block.r + origin) + block.causal_offset;
#pragma clang loop unroll(full)
  for (ushort i = 0; i < staged_rows; ++i) {
    const ushort r = i * MFA_SIMDGROUP_SIZE + lane;
    if (R_simd % MFA_SIMDGROUP_SIZE == 0 || r < R_simd) {
      const float m = max(state.m[i], staged_logits(block, S + r, first, block.r + origin + r,
                                                    masked, diagonal));
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
    }
  }
}

/// O^T's columns times a factor per row, unless all factors are 1.
inline void staged_rescale(threadgroup float *O, const thread float *factors, ushort lane) {
#pragma clang loop unroll(full)
  for (ushort i = 0; i < staged_rows; ++i) {
    const ushort r = i * MFA_SIMDGROUP_SIZE + lane;
    const bool owned = R_simd % MFA_SIMDGROUP_SIZE == 0 || r < R_simd;
    if (simd_any(owned && factors[i] != 1.0f)) {
      for (ushort d = 0; d < D_V_simd; ++d) {
        if (owned) O[r + uint(d) * R_group] *= factors[i];
      }
    }
  }
}

/// O^T / l -> O and the log-sum-exp.
template <typename T>
inline void staged_store(const thread attention_block<T> &block, staged_memory memory,
                         threadgroup float *all_O, const thread staged_rows_state &state,
                         ushort origin, mfa_place place) {
  float factors[MFA_MAX_STAGED_ROWS];
#pragma clang loop unroll(full)
  for (ushort i = 0; i < staged_rows; ++i) {
    factors[i] = reciprocal(state.l[i]);
    const ushort r = i * MFA_SIMDGROUP_SIZE + place.lane;
    const uint row = block.r + origin + r;
    if (write_lse && r < R_simd && row < block.R) {
      block.lse[row] = log_sum_exp(state.m[i], state.l[i]);
    }
  }
  staged_rescale(memory.O, factors, place.lane);
  threadgroup_barrier(mem_flags::mem_threadgroup);

  const uint rows = min(uint(R_group), block.R - block.r);
  if (O_rows) {
    for (uint r = place.simdgroup; r < rows; r += place.simdgroups) {
      device T *to = block.O.data + (block.r + r) * block.O.leading;
      for (uint d = place.lane; d < block.D_V; d += MFA_SIMDGROUP_SIZE) {
        to[d] = T(all_O[d * R_group + r]);
      }
    }
  } else {
    for (uint d = place.simdgroup; d < block.D_V; d += place.simdgroups) {
      device T *to = block.O.data + d * block.O.leading + block.r;
      for (uint r = place.lane; r < rows; r += MFA_SIMDGROUP_SIZE) {
        to[r] = T(all_O[d * R_group + r]);
      }
    }
  }
}

template <typename T>
inline void load_columns(attention_operand<const device T *> operand, bool rows, uint first,
                         uint columns, uint size, ushort tile_size, threadgroup float *data,
                         mfa_place place) {
  const mfa_tile<float> tile = {data, C_simd, tile_size, staged_width};
  if (rows) {
    load_tile(operand.data + first * operand.leading, operand.leading, columns - first, size, tile,
              place);
  } else {
    load_tile_transposed(operand.data + first, operand.leading, size, columns - first, tile, place);
  }
}

template <typename T>
inline void attention_staged(const thread attention_block<T> &block, threadgroup uchar *bytes,
                             mfa_place place) {
  threadgroup float *memory = reinterpret_cast<threadgroup float *>(bytes);
  const ushort origin = place.simdgroup * R_simd;
  threadgroup float *Q = memory;
  threadgroup float *KV = Q + uint(D_simd) * R_group;
  threadgroup float *S = KV + uint(C_simd) * staged_width;
  threadgroup float *O = S + uint(C_simd) * R_group;
  const staged_memory own = {Q, KV, S + origin, O + origin};

  const uint rows = block.R - block.r;
  const mfa_tile<float> Q_tile = {Q, D_simd, R_group, R_group};
  if (Q_rows) {
    load_tile_transposed(block.Q.data + block.r * block.Q.leading, block.Q.leading, rows, block.D,
                         Q_tile, place);
  } else {
    load_tile(block.Q.data + block.r, block.Q.leading, block.D, rows, Q_tile, place);
  }
  staged_rows_state state;
#pragma clang loop unroll(full)
  for (ushort i = 0; i < staged_rows; ++i) {
    state.m[i] = nothing;
    state.l[i] = 0.0f;
    state.correction[i] = 1.0f;
  }
  for (uint i = place.simdgroup * MFA_SIMDGROUP_SIZE + place.lane; i < uint(D_V_simd) * R_group;
       i += place.simdgroups * MFA_SIMDGROUP_SIZE) {
    O[i] = 0.0f;
  }

  for (uint c = 0; c < block.columns; c += C_simd) {
    const uchar summary = block_sparse ? block.block_mask[c / C_simd] : MFA_BLOCK_MASKED;
    if (summary == MFA_BLOCK_SKIP) continue;
    const bool masked = has_mask && summary == MFA_BLOCK_MASKED;

    load_columns(block.K, K_rows, c, block.C, block.D, D_simd, KV, place);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    staged_scores(own, origin);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    load_columns(block.V, V_rows, c, block.C, block.D_V, D_V_simd, KV, place);
    staged_softmax(block, own.S, c, masked, state, origin, place.lane);
    staged_rescale(own.O, state.correction, place.lane);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    staged_values(own);
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  staged_store(block, own, O, state, origin, place);
}
