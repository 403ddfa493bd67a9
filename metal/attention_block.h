// SPDX-License-Identifier: MIT
// Slots, strides and MFA 1.0's packed layouts -> the attention_block of a threadgroup.
#pragma once

#include "attention.h"

/// The buffers of `attention`; those a variant does not use are null.
struct attention_buffers {
  device uchar *Q, *K, *V, *O;
  device float* lse;
  constant ulong4* offsets;
  constant uint4* heads;
  const device uchar* mask;
  device uchar* block_mask;
  constant mfa_attention_parameters* parameters;
};

/// The first element of (batch, head) in MFA 1.0's packed layouts: [B, sequence, H, D] where rows
/// are contiguous, else [B, H, D, sequence].
template <typename T>
inline attention_operand<device T*> packed(device uchar* data, bool rows, uint sequence, uint heads,
                                           uint size, uint batch, uint head) {
  const ulong width = ulong(heads) * size;
  const ulong start = batch * width * sequence + ulong(head) * size * (rows ? 1 : sequence);
  return {reinterpret_cast<device T*>(data) + start, rows ? width : sequence};
}

template <typename T>
inline attention_operand<device T*> strided(device uchar* data, constant mfa_strides& strides,
                                            uint batch, uint head) {
  return {reinterpret_cast<device T*>(data) + batch * strides.batch + head * strides.head,
          strides.leading};
}

template <typename T>
inline attention_operand<const device T*> readable(attention_operand<device T*> operand) {
  return {operand.data, operand.leading};
}

/// Sizes, scale, causal bounds.
template <typename T>
inline void set_sizes(thread attention_block<T>& block, const thread attention_buffers& buffers,
                      uint row) {
  constant mfa_attention_parameters* parameters = buffers.parameters;
  block.R = is_function_constant_defined(fixed_R) ? fixed_R : parameters->R;
  block.C = is_function_constant_defined(fixed_C) ? fixed_C : parameters->C;
  block.D = is_function_constant_defined(fixed_D) ? fixed_D : parameters->D;
  block.D_V = known_D_V != 0 ? known_D_V : parameters->D_V;
  const float scale = is_function_constant_defined(fixed_scale) ? fixed_scale : parameters->scale;
  block.scale = scale * log2_e;
  block.r = row;
  block.causal_offset = causal == MFA_CAUSAL_LOWER_RIGHT ? int(block.C) - int(block.R) : 0;
  block.columns = block.C;
  if (causal != MFA_CAUSAL_NONE) {
    const int last = int(min(block.R, row + R_group)) + block.causal_offset;
    block.columns = uint(clamp(last, 0, int(block.C)));
  }
}

/// The mask and the summaries of its blocks, as seen by query head `head`.
template <typename T>
inline void set_mask(thread attention_block<T>& block, const thread attention_buffers& buffers,
                     uint batch, uint head) {
  if (!has_mask) return;
  ulong mask_bytes = 0, block_bytes = 0, block_leading = (block.C + C_simd - 1) / C_simd;
  block.mask.leading = block.C;
  if (has_parameters) {
    constant mfa_strides& mask = buffers.parameters->mask;
    constant mfa_strides& blocks = buffers.parameters->block_mask;
    mask_bytes = (batch * mask.batch + head * mask.head) * mask_element_size();
    block_bytes = batch * blocks.batch + head * blocks.head;
    block.mask.leading = mask.leading;
    block_leading = blocks.leading;
  }
  if (has_offsets) {
    mask_bytes += buffers.offsets[batch].x;
    block_bytes += buffers.offsets[batch].y;
  }
  block.mask.data = buffers.mask + mask_bytes;
  if (has_block_mask) {
    block.block_mask = buffers.block_mask + block_bytes + block.r / R_group * block_leading;
  }
}

/// Everything of the forward pass for query head `head` of batch `batch`, from row `row`.
template <typename T>
inline attention_block<T> make_block(const thread attention_buffers& buffers, uint row, uint head,
                                     uint batch) {
  attention_block<T> block;
  set_sizes(block, buffers, row);

  uint ratio = MFA_OR(fixed_H_ratio, has_parameters ? buffers.parameters->H_ratio : 1);
  ratio = max(ratio, 1u);
  uint4 heads = uint4(head, head / ratio, head / ratio, head);
  if (grouped_query) heads = buffers.heads[head];

  if (has_parameters) {
    constant mfa_attention_parameters& p = *buffers.parameters;
    block.Q = readable(strided<T>(buffers.Q, p.Q, batch, heads.x));
    block.K = readable(strided<T>(buffers.K, p.K, batch, heads.y));
    block.V = readable(strided<T>(buffers.V, p.V, batch, heads.z));
    block.O = strided<T>(buffers.O, p.O, batch, heads.w);
    if (write_lse) block.lse = buffers.lse + batch * p.lse_batch + heads.w * p.lse_head;
  } else {
    const uint H = fixed_H, kv_heads = fixed_H / ratio;
    const uint b = batched ? batch : 0;
    block.Q = readable(packed<T>(buffers.Q, Q_rows, block.R, H, block.D, b, heads.x));
    block.K = readable(packed<T>(buffers.K, K_rows, block.C, kv_heads, block.D, b, heads.y));
    block.V = readable(packed<T>(buffers.V, V_rows, block.C, kv_heads, block.D_V, b, heads.z));
    block.O = packed<T>(buffers.O, O_rows, block.R, H, block.D_V, b, heads.w);
    if (write_lse) block.lse = buffers.lse + (ulong(b) * H + heads.w) * block.R;
  }
  set_mask(block, buffers, batch, head);
  return block;
}
