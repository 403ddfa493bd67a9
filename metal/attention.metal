// SPDX-License-Identifier: MIT
// The attention kernel: element type and form are function constants.
#include "attention_backward.h"
#include "attention_backward_bias.h"
#include "attention_backward_columns.h"
#include "attention_backward_rows.h"
#include "attention_backward_sums.h"
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

/// T is the type of Q, K, V and their gradients, E that of O and dO.
template <typename T, typename E>
inline void attend_backward(const thread attention_buffers& buffers,
                            const thread backward_buffers& own, threadgroup uchar* memory,
                            uint3 group, mfa_place place) {
  if (!backward_fits) return;
  if (backward_columns) {
    backward_columns_pass<T, E>(buffers, own, memory, group, place);
    return;
  }
  if (backward_bias) {
    backward_bias_pass<T, E>(buffers, own, memory, group, place);
    return;
  }
  const uint rows = backward_rows ? uint(R_group) : uint(MFA_BACKWARD_SUMS_ROWS);
  const backward_block<T, E> block =
      make_backward_block<T, E>(buffers, own, group.x * rows, group.y, group.z);
  if (block.forward.r >= block.forward.R) return;
  if (backward_rows) {
    backward_rows_pass(block, memory, place);
  } else {
    backward_row_sums(block, place);
  }
}

template <typename T>
inline void attend_backward(const thread attention_buffers& buffers,
                            const thread backward_buffers& own, threadgroup uchar* memory,
                            uint3 group, mfa_place place) {
  if (o_type == data_type) {
    attend_backward<T, T>(buffers, own, memory, group, place);
  } else if (o_type == MFA_TYPE_FLOAT) {
    attend_backward<T, float>(buffers, own, memory, group, place);
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
    device uchar* Q [[buffer(MFA_SLOT_Q), function_constant(has_QKV)]],
    device uchar* K [[buffer(MFA_SLOT_K), function_constant(has_QKV)]],
    device uchar* V [[buffer(MFA_SLOT_V), function_constant(has_QKV)]],
    device uchar* O [[buffer(MFA_SLOT_O), function_constant(has_O)]],
    device float* lse [[buffer(MFA_SLOT_LSE), function_constant(has_lse)]],
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
    device uchar* dO [[buffer(MFA_SLOT_DO), function_constant(backward_pass)]],
    device uchar* dQ [[buffer(MFA_SLOT_DQ), function_constant(write_dQ)]],
    device uchar* dK [[buffer(MFA_SLOT_DK), function_constant(write_dK)]],
    device uchar* dV [[buffer(MFA_SLOT_DV), function_constant(write_dV)]],
    device uchar* dB [[buffer(MFA_SLOT_DB), function_constant(backward_bias)]],
    device float* sums [[buffer(MFA_SLOT_SUMS), function_constant(backward_pass)]],
    device float* dQ_sums [[buffer(MFA_SLOT_DQ_SUMS), function_constant(sums_dQ)]],
    constant mfa_attention_backward_parameters& backward_parameters
    [[buffer(MFA_SLOT_BACKWARD_PARAMETERS), function_constant(backward_pass)]],
    threadgroup uchar* memory [[threadgroup(MFA_SLOT_TILES)]],
    uint3 group [[threadgroup_position_in_grid]],
    ushort simdgroup [[simdgroup_index_in_threadgroup]],
    ushort lane [[thread_index_in_simdgroup]]) {
  if (!supported) return;
  const ushort first = 0;
  const mfa_place place = {R_splits == 1 ? first : simdgroup, R_splits, lane};

  attention_buffers buffers = {};
  if (has_QKV) {
    buffers.Q = Q;
    buffers.K = K;
    buffers.V = V;
  }
  if (has_O) buffers.O = O;
  if (has_lse) buffers.lse = lse;
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

  backward_buffers own = {};
  if (backward_pass) {
    own.dO = dO;
    own.sums = sums;
    own.parameters = &backward_parameters;
  }
  if (write_dQ) own.dQ = dQ;
  if (write_dK) own.dK = dK;
  if (write_dV) own.dV = dV;
  if (backward_bias) own.dB = dB;
  if (sums_dQ) own.dQ_sums = dQ_sums;

  if (generate) {
    if (has_addend) summarize(buffers, memory, group, place);
  } else if (backward_pass) {
    if (data_type == MFA_TYPE_FLOAT) {
      attend_backward<float>(buffers, own, memory, group, place);
    } else if (data_type == MFA_TYPE_HALF) {
      attend_backward<half>(buffers, own, memory, group, place);
    } else if (data_type == MFA_TYPE_BFLOAT) {
      attend_backward<bfloat>(buffers, own, memory, group, place);
    }
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
