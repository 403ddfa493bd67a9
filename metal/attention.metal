// SPDX-License-Identifier: MIT
// The attention kernel: element type and form are function constants.
#include "attention_block.h"
#include "attention_direct.h"
#include "attention_staged.h"
#include "block_mask.h"

constant bool direct_fits = R_tiles * C_tiles <= MFA_MAX_ATTENTION_MATRICES &&
                            R_tiles * D_tiles <= MFA_MAX_ATTENTION_MATRICES &&
                            R_tiles * D_V_tiles <= MFA_MAX_ATTENTION_MATRICES;

template <typename T>
inline void attend(const thread attention_buffers& buffers, threadgroup uchar* memory, uint3 group,
                   mfa_place place) {
  const attention_block<T> block = make_block<T>(buffers, group.x * R_group, group.y, group.z);
  if (block.r >= block.R || block.D > D_simd || block.D_V > D_V_simd) return;
  if (staged) {
    attention_staged(block, memory, place);
  } else if (direct_fits) {
    attention_direct(block, memory, place);
  }
}

/// Threadgroup (x, y, z) summarises block (row x, column y) of mask z.
inline void summarize(const thread attention_buffers& buffers, threadgroup uchar* memory,
                      uint3 group, mfa_place place) {
  uint heads = has_parameters ? buffers.parameters->mask_heads : 1;
  heads = max(heads, 1u);
  attention_block<float> block = {};
  const uint batch = group.z / heads;
  set_scores(block, buffers, place_batch(buffers, batch), group.x * R_group, batch,
             group.z % heads);
  if (block.r >= block.R || group.y * C_simd >= block.C) return;
  summarize_block(block, group.y, reinterpret_cast<threadgroup uint*>(memory), place);
}

kernel void attention(
    device uchar* Q [[buffer(MFA_SLOT_Q), function_constant(forward_pass)]],
    device uchar* K [[buffer(MFA_SLOT_K), function_constant(forward_pass)]],
    device uchar* V [[buffer(MFA_SLOT_V), function_constant(forward_pass)]],
    device uchar* O [[buffer(MFA_SLOT_O), function_constant(forward_pass)]],
    device float* lse [[buffer(MFA_SLOT_LSE), function_constant(write_lse)]],
    constant ulong4* offsets [[buffer(MFA_SLOT_OFFSETS), function_constant(has_offsets)]],
    constant uint4* heads [[buffer(MFA_SLOT_HEADS), function_constant(grouped_query)]],
    const device uchar* mask [[buffer(MFA_SLOT_MASK), function_constant(has_mask)]],
    device uchar* block_mask [[buffer(MFA_SLOT_BLOCK_MASK), function_constant(has_block_mask)]],
    const device float* slopes [[buffer(MFA_SLOT_SLOPES), function_constant(alibi)]],
    const device float* sinks [[buffer(MFA_SLOT_SINKS), function_constant(has_sinks)]],
    const device uchar* bias [[buffer(MFA_SLOT_SCORE_BIAS), function_constant(has_bias)]],
    const device uint* row_starts
    [[buffer(MFA_SLOT_ROW_STARTS), function_constant(packed_batches)]],
    const device uint* column_starts
    [[buffer(MFA_SLOT_COLUMN_STARTS), function_constant(packed_batches)]],
    constant mfa_attention_parameters& parameters
    [[buffer(MFA_SLOT_PARAMETERS), function_constant(has_parameters)]],
    threadgroup uchar* memory [[threadgroup(MFA_SLOT_TILES)]],
    uint3 group [[threadgroup_position_in_grid]],
    ushort simdgroup [[simdgroup_index_in_threadgroup]],
    ushort lane [[thread_index_in_simdgroup]]) {
  if (!supported) return;
  const ushort first = 0;
  const mfa_place place = {R_splits == 1 ? first : simdgroup, R_splits, lane};

  attention_buffers buffers = {};
  if (forward_pass) {
    buffers.Q = Q;
    buffers.K = K;
    buffers.V = V;
    buffers.O = O;
  }
  if (write_lse) buffers.lse = lse;
  if (grouped_query) buffers.heads = heads;
  if (has_sinks) buffers.sinks = sinks;
  if (has_block_mask) buffers.block_mask = block_mask;
  if (packed_batches) {
    buffers.row_starts = row_starts;
    buffers.column_starts = column_starts;
  }
  if (has_mask) buffers.scores.mask = mask;
  if (has_bias) buffers.scores.bias = bias;
  if (alibi) buffers.scores.slopes = slopes;
  if (has_offsets) buffers.scores.offsets = offsets;
  if (has_parameters) {
    buffers.parameters = &parameters;
    buffers.scores.parameters = &parameters.scores;
  }

  if (generate) {
    if (has_addend) summarize(buffers, memory, group, place);
  } else if (!forward_pass) {
    return;
  } else if (data_type == MFA_TYPE_FLOAT) {
    attend<float>(buffers, memory, group, place);
  } else if (data_type == MFA_TYPE_HALF) {
    attend<half>(buffers, memory, group, place);
  } else if (data_type == MFA_TYPE_BFLOAT) {
    attend<bfloat>(buffers, memory, group, place);
  }
}
