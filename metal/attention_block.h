// SPDX-License-Identifier: MIT
// Slots, strides and MFA 1.0's packed layouts -> the attention_block of a threadgroup.
#pragma once

#include "attention.h"

/// The buffers of `attention`; those a variant does not use are null.
struct attention_buffers {
  device uchar *Q, *K, *V, *O;
  device float* lse;
  constant uint4* heads;
  const device float* sinks;
  const device uint *row_starts, *column_starts;
  device uchar* block_mask;
  score_buffers scores;
  constant mfa_attention_parameters* parameters;
};

/// Where (batch, head) begins in MFA 1.0's packed layouts: [B, sequence, H, D] where rows are
/// contiguous, else [B, H, D, sequence].
struct packed_place {
  ulong start, leading;
};

inline packed_place place_packed(bool rows, uint sequence, uint heads, uint size, uint batch,
                                 uint head) {
  const ulong width = ulong(heads) * size;
  const ulong start = batch * width * sequence + ulong(head) * size * (rows ? 1 : sequence);
  return {start, rows ? width : sequence};
}

template <typename T>
inline attention_operand<const device T*> packed(device uchar* data, bool rows, uint sequence,
                                                 uint heads, uint size, uint batch, uint head) {
  const packed_place place = place_packed(rows, sequence, heads, size, batch, head);
  return {reinterpret_cast<const device T*>(data) + place.start, place.leading};
}

template <typename T>
inline attention_operand<const device T*> strided(device uchar* data, constant mfa_strides& strides,
                                                  bool rows, uint first, uint batch, uint head) {
  const ulong start =
      batch * strides.batch + head * strides.head + first * (rows ? strides.leading : 1);
  return {reinterpret_cast<const device T*>(data) + start, strides.leading};
}

/// Where a batch begins and how long it is, if batches are packed one after the other.
struct batch_place {
  uint first_row, first_column;  // 0 unless packed
  uint R, C;
};

inline batch_place place_batch(const thread attention_buffers& buffers, uint batch) {
  batch_place place = {};
  if (packed_batches) {
    place.first_row = buffers.row_starts[batch];
    place.first_column = buffers.column_starts[batch];
    place.R = buffers.row_starts[batch + 1] - place.first_row;
    place.C = buffers.column_starts[batch + 1] - place.first_column;
  } else {
    place.R = is_function_constant_defined(fixed_R) ? fixed_R : buffers.parameters->R;
    place.C = is_function_constant_defined(fixed_C) ? fixed_C : buffers.parameters->C;
  }
  return place;
}

/// Sizes, scores, and what the summaries of the mask's blocks are for query head `head`.
template <typename T>
inline void set_scores(thread attention_block<T>& block, const thread attention_buffers& buffers,
                       batch_place place, uint row, uint batch, uint head) {
  constant mfa_attention_parameters* parameters = buffers.parameters;
  block.R = place.R;
  block.C = place.C;
  block.D = is_function_constant_defined(fixed_D) ? fixed_D : parameters->D;
  block.D_V = known_D_V != 0 ? known_D_V : parameters->D_V;
  block.r = row;
  block.scores = make_scores(buffers.scores, block.R, block.C, batch, head);
  block.columns = score_columns(block.scores, row, min(block.R, row + R_group));
  if (has_block_mask) {
    ulong start = 0, leading = (block.C + C_simd - 1) / C_simd;
    if (has_parameters) {
      start = batch * parameters->block_mask.batch + head * parameters->block_mask.head;
      leading = parameters->block_mask.leading;
    }
    if (has_offsets) start += buffers.scores.offsets[batch].y;
    block.block_mask = buffers.block_mask + start + block.r / R_group * leading;
  }
}

/// Everything of the forward pass for query head `head` of batch `batch`, from row `row`.
template <typename T>
inline attention_block<T> make_block(const thread attention_buffers& buffers, uint row, uint head,
                                     uint batch) {
  attention_block<T> block = {};
  const batch_place place = place_batch(buffers, batch);
  set_scores(block, buffers, place, row, batch, head);

  uint ratio = MFA_OR(fixed_H_ratio, has_parameters ? buffers.parameters->H_ratio : 1);
  ratio = max(ratio, 1u);
  uint4 heads = uint4(head, head / ratio, head / ratio, head);
  if (grouped_query) heads = buffers.heads[head];

  if (has_parameters) {
    constant mfa_attention_parameters& p = *buffers.parameters;
    block.Q = strided<T>(buffers.Q, p.Q, Q_rows, place.first_row, batch, heads.x);
    block.K = strided<T>(buffers.K, p.K, K_rows, place.first_column, batch, heads.y);
    block.V = strided<T>(buffers.V, p.V, V_rows, place.first_column, batch, heads.z);
    const ulong row_stride = O_rows ? p.O.leading : 1;
    const ulong o = batch * p.O.batch + heads.w * p.O.head + place.first_row * row_stride;
    block.O = {buffers.O + o * score_element_size(o_type), p.O.leading};
    if (has_lse) {
      block.lse = buffers.lse + batch * p.lse_batch + heads.w * p.lse_head + place.first_row;
    }
  } else {
    const uint H = fixed_H, kv_heads = fixed_H / ratio;
    const uint b = batched ? batch : 0;
    block.Q = packed<T>(buffers.Q, Q_rows, block.R, H, block.D, b, heads.x);
    block.K = packed<T>(buffers.K, K_rows, block.C, kv_heads, block.D, b, heads.y);
    block.V = packed<T>(buffers.V, V_rows, block.C, kv_heads, block.D_V, b, heads.z);
    const packed_place o = place_packed(O_rows, block.R, H, block.D_V, b, heads.w);
    block.O = {buffers.O + o.start * score_element_size(o_type), o.leading};
    if (write_lse) block.lse = buffers.lse + (ulong(b) * H + heads.w) * block.R;
  }
  if (has_sinks) block.sink = max(buffers.sinks[head] * log2_e, nothing);
  return block;
}
