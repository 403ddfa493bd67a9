// SPDX-License-Identifier: MIT
// dK and dV of a block of columns: one pass over the rows of every query head that see them. A
// lane looks after columns.
//
//   K^T, V^T;  dK = dV = 0
//   for query heads of the group, for blocks r of rows:
//     S = Q[r] * K^T;  dP = dO[r] * V^T
//     P = exp(S - L);  dS = slope P (dP - D)
//     dV += P^T * dO[r];  dK += dS^T * Q[r]
//
// Where a threadgroup has all columns of its heads, it also adds up dQ[r] += dS * K, in a float
// copy of dQ that nobody else touches: five products instead of seven, and still no atomics.
#pragma once

#include "attention_backward_upright.h"

/// The areas of threadgroup memory.
struct columns_memory {
  upright_memory block;
  threadgroup float *dK, *dV;  // [C][D], [C][D_V]
  threadgroup float* K;        // [C][D], sums_dQ
};

inline columns_memory columns_areas(threadgroup uchar* bytes) {
  columns_memory m;
  m.block = upright_areas(bytes);
  m.dK = m.block.end;
  m.dV = m.dK + uint(write_dK ? D_simd : 0) * C_simd;
  m.K = m.dV + uint(write_dV ? D_V_simd : 0) * C_simd;
  return m;
}

/// The rows of one query head, for the columns from `first` on.
template <typename T, typename E>
inline void backward_over_rows(const thread backward_block<T, E>& block, columns_memory m,
                               uint first, mfa_place place) {
  const thread attention_block<T>& f = block.forward;
  const uint2 rows = score_rows(f.scores, first, min(f.C, first + C_simd));
  for (uint r = rows.x / R_group * R_group; r < rows.y; r += R_group) {
    const uchar summary = backward_summary(block, r, first);
    if (summary == MFA_BLOCK_SKIP) continue;
    upright_block(block, m.block, r, first, has_addend && summary == MFA_BLOCK_MASKED, place);
    const product_side P_side = {m.block.S, C_simd, true}, dS_side = {m.block.dP, C_simd, true};
    if (write_dV) {
      multiply_block(m.dV, D_V_simd, P_side, m.block.dO, D_V_simd, C_simd, D_V_simd, R_group, true,
                     place);
    }
    if (write_dK) {
      multiply_block(m.dK, D_simd, dS_side, m.block.Q, D_simd, C_simd, D_simd, R_group, true,
                     place);
    }
    if (sums_dQ) {
      const product_side upright = {m.block.dP, C_simd, false};
      multiply_block(block.dQ_sums + ulong(r) * D_simd, D_simd, upright, m.K, D_simd, R_group,
                     D_simd, C_simd, true, place);
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
}

/// dQ_sums of one head = 0.
template <typename T, typename E>
inline void begin_sums(const thread backward_block<T, E>& block, mfa_place place) {
  const ulong count = (block.forward.R + R_group - 1) / R_group * R_group * ulong(D_simd);
  for (ulong i = place.simdgroup * MFA_SIMDGROUP_SIZE; i < count;
       i += place.simdgroups * MFA_SIMDGROUP_SIZE) {
    block.dQ_sums[i + place.lane] = 0.0f;
  }
}

/// dQ_sums -> dQ of one head.
template <typename T, typename E>
inline void finish_sums(const thread backward_block<T, E>& block, mfa_place place) {
  const thread attention_block<T>& f = block.forward;
  for (uint r = place.simdgroup; r < f.R; r += place.simdgroups) {
    const device float* from = block.dQ_sums + ulong(r) * D_simd;
    for (ushort d = 0; d < f.D; d += MFA_SIMDGROUP_SIZE) {
      const ulong column = d + place.lane;
      if (column < f.D) {
        if (dQ_rows) {
          block.dQ.data[r * block.dQ.leading + column] = T(from[column]);
        } else {
          block.dQ.data[r + column * block.dQ.leading] = T(from[column]);
        }
      }
    }
  }
}

template <typename T, typename E>
inline void backward_columns_pass(const thread attention_buffers& buffers,
                                  const thread backward_buffers& own, threadgroup uchar* bytes,
                                  uint3 group, mfa_place place) {
  constant mfa_attention_backward_parameters& p = *own.parameters;
  const columns_memory m = columns_areas(bytes);
  const uint kv_head = group.y, batch = group.z;
  const uint ratio = max(buffers.parameters->H_ratio, 1u), head = kv_head * ratio;
  const backward_block<T, E> any = make_backward_block<T, E>(buffers, own, 0, head, batch);
  const thread attention_block<T>& f = any.forward;
  const uint first_column = place_batch(buffers, batch).first_column;

  if (sums_dQ) {
    for (uint h = 0; h < ratio; ++h) {
      begin_sums(make_backward_block<T, E>(buffers, own, 0, head + h, batch), place);
    }
  }
  const uint begin = sums_dQ ? 0 : group.x * C_simd;
  const uint end = sums_dQ ? f.C : min(f.C, begin + C_simd);
  for (uint c = begin; c < end; c += C_simd) {
    upright_columns(any, m.block, c, place);
    if (sums_dQ) {
      load_upright(f.K, K_rows, c, f.C, f.D, m.K, C_simd, D_simd, m.block.S, uint(C_simd) * R_group,
                   place);
    }
    if (write_dK) clear_area(m.dK, uint(C_simd) * D_simd, place);
    if (write_dV) clear_area(m.dV, uint(C_simd) * D_V_simd, place);
    threadgroup_barrier(mem_flags::mem_threadgroup | mem_flags::mem_device);
    for (uint h = 0; h < ratio; ++h) {
      backward_over_rows(make_backward_block<T, E>(buffers, own, 0, head + h, batch), m, c, place);
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (write_dK) {
      const attention_operand<device T*> dK =
          writable<T>(own.dK, p.dK, dK_rows, first_column, batch, kv_head);
      store_upright(dK, dK_rows, c, f.C, f.D, m.dK, C_simd, D_simd, place);
    }
    if (write_dV) {
      const attention_operand<device T*> dV =
          writable<T>(own.dV, p.dV, dV_rows, first_column, batch, kv_head);
      store_upright(dV, dV_rows, c, f.C, f.D_V, m.dV, C_simd, D_V_simd, place);
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
  if (sums_dQ) {
    threadgroup_barrier(mem_flags::mem_device);
    for (uint h = 0; h < ratio; ++h) {
      finish_sums(make_backward_block<T, E>(buffers, own, 0, head + h, batch), place);
    }
  }
}
