// SPDX-License-Identifier: MIT
// The gradient of what is added to the scores, for a block of it: dB, summed over every batch, head
// and row that shares the element.
//
//   dB = 0
//   for batches and query heads that share it:
//     K^T, V^T
//     for blocks of rows that share it:  dB += P (dP - D)
#pragma once

#include "attention_backward_upright.h"

inline void store_bias(device uchar* data, ulong index, float value) {
  if (dB_type == MFA_TYPE_HALF) {
    reinterpret_cast<device half*>(data)[index] = half(value);
  } else if (dB_type == MFA_TYPE_BFLOAT) {
    reinterpret_cast<device bfloat*>(data)[index] = bfloat(value);
  } else {
    reinterpret_cast<device float*>(data)[index] = value;
  }
}

/// Threadgroup (x, y, z): columns from x * C_simd on, rows from y * R_group on, or all of them if
/// they share one row; batch z / heads and head z % heads of the gradient, of which one may stand
/// for all.
template <typename T, typename E>
inline void backward_bias_pass(const thread attention_buffers& buffers,
                               const thread backward_buffers& own, threadgroup uchar* bytes,
                               uint3 group, mfa_place place) {
  constant mfa_attention_backward_parameters& p = *own.parameters;
  const upright_memory m = upright_areas(bytes);
  threadgroup float* sums = m.end;  // [R][C]
  const uint square = uint(C_simd) * R_group, first = group.x * C_simd;
  const bool one_row = p.dB.leading == 0;
  const uint batch = group.z / p.dB_heads, head = group.z % p.dB_heads;
  const uint batch_end = p.dB_batches == 1 ? p.batches : batch + 1;
  const uint head_end = p.dB_heads == 1 ? p.heads : head + 1;

  clear_area(sums, square, place);
  for (uint b = batch; b < batch_end; ++b) {
    for (uint h = head; h < head_end; ++h) {
      const backward_block<T, E> block = make_backward_block<T, E>(buffers, own, 0, h, b);
      const thread attention_block<T>& f = block.forward;
      if (first >= f.C) continue;  // a sequence shorter than the longest
      threadgroup_barrier(mem_flags::mem_threadgroup);
      upright_columns(block, m, first, place);
      const uint begin = one_row ? 0 : group.y * R_group;
      const uint end = one_row ? f.R : min(f.R, begin + R_group);
      const uint2 rows = score_rows(f.scores, first, min(f.C, first + C_simd));
      for (uint r = begin; r < end; r += R_group) {
        if (r >= rows.y || r + R_group <= rows.x) continue;
        const uchar summary = backward_summary(block, r, first);
        if (summary == MFA_BLOCK_SKIP) continue;
        upright_block(block, m, r, first, has_addend && summary == MFA_BLOCK_MASKED, place);
        for (uint i = place.simdgroup * MFA_SIMDGROUP_SIZE; i < square;
             i += place.simdgroups * MFA_SIMDGROUP_SIZE) {
          const ulong index = i + place.lane;
          sums[index] += m.dP[index];
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
      }
    }
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  const uint R = buffers.parameters->R, C = buffers.parameters->C;
  const ulong start = batch * p.dB.batch + head * p.dB.head;
  const uint written = one_row ? 1 : min(uint(R_group), R - group.y * R_group);
  for (uint r = place.simdgroup; r < written; r += place.simdgroups) {
    for (ushort c = 0; c < C_simd; c += MFA_SIMDGROUP_SIZE) {
      const ulong column = c + place.lane;
      if (column < C_simd && first + column < C) {
        float value = sums[r * C_simd + column];
        if (one_row) {
          for (ushort other = 1; other < R_group; ++other) {
            value += sums[other * C_simd + column];
          }
        }
        const ulong row = one_row ? 0 : group.y * R_group + r;
        store_bias(own.dB, start + row * p.dB.leading + first + column, value);
      }
    }
  }
}
