// SPDX-License-Identifier: MIT
// Function constants and parameter block of `attention` -> what one threadgroup has to do.
#pragma once

#include <metal_stdlib>

#include "attention_score.h"
#include "shared.h"
#include "tile.h"

using namespace metal;

constant uint fixed_R [[function_constant(MFA_CONSTANT_R)]];
constant uint fixed_C [[function_constant(MFA_CONSTANT_C)]];
constant uint fixed_H [[function_constant(MFA_CONSTANT_H)]];
constant uint fixed_D [[function_constant(MFA_CONSTANT_D)]];
constant uint fixed_D_V [[function_constant(MFA_CONSTANT_D_V)]];
constant uint fixed_H_ratio [[function_constant(MFA_CONSTANT_H_RATIO)]];
constant bool given_Q_trans [[function_constant(MFA_CONSTANT_Q_TRANS)]];
constant bool given_K_trans [[function_constant(MFA_CONSTANT_K_TRANS)]];
constant bool given_V_trans [[function_constant(MFA_CONSTANT_V_TRANS)]];
constant bool given_O_trans [[function_constant(MFA_CONSTANT_O_TRANS)]];
constant bool given_block_sparse [[function_constant(MFA_CONSTANT_BLOCK_SPARSE)]];
constant bool given_triangular [[function_constant(MFA_CONSTANT_TRIANGULAR)]];
constant bool given_forward [[function_constant(MFA_CONSTANT_FORWARD)]];
constant bool given_backward [[function_constant(MFA_CONSTANT_BACKWARD)]];
constant bool given_generate [[function_constant(MFA_CONSTANT_GENERATE_BLOCK_MASK)]];
constant bool given_grouped_query [[function_constant(MFA_CONSTANT_GROUPED_QUERY)]];
constant ushort given_R_simd [[function_constant(MFA_CONSTANT_R_SIMD)]];
constant ushort given_C_simd [[function_constant(MFA_CONSTANT_C_SIMD)]];
constant ushort given_R_splits [[function_constant(MFA_CONSTANT_R_SPLITS)]];
constant ushort given_R_bank [[function_constant(MFA_CONSTANT_R_BANK_OFFSET)]];
constant ushort given_C_bank [[function_constant(MFA_CONSTANT_C_BANK_OFFSET)]];
constant ushort given_D_bank [[function_constant(MFA_CONSTANT_D_BANK_OFFSET)]];
constant bool given_parameters [[function_constant(MFA_CONSTANT_PARAMETERS)]];
constant bool given_staged [[function_constant(MFA_CONSTANT_STAGED)]];
constant bool given_write_lse [[function_constant(MFA_CONSTANT_WRITE_LSE)]];
constant uint given_o_type [[function_constant(MFA_CONSTANT_O_TYPE)]];
constant bool given_packed [[function_constant(MFA_CONSTANT_PACKED)]];
constant ushort given_D_simd [[function_constant(MFA_CONSTANT_D_SIMD)]];
constant ushort given_D_V_simd [[function_constant(MFA_CONSTANT_D_V_SIMD)]];

// Which index of a stored operand is contiguous: true for D, false for the sequence.
constant bool Q_rows = !MFA_OR(given_Q_trans, false);
constant bool K_rows = MFA_OR(given_K_trans, true);
constant bool V_rows = !MFA_OR(given_V_trans, false);
constant bool O_rows = !MFA_OR(given_O_trans, false);

constant bool grouped_query = MFA_OR(given_grouped_query, false);
constant bool generate = MFA_OR(given_generate, false);
constant bool backward_pass = MFA_OR(given_backward, false) && !generate;
constant bool forward_pass = MFA_OR(given_forward, true) && !generate;
constant bool block_sparse = has_addend && !generate && MFA_OR(given_block_sparse, false);
constant bool has_block_mask = block_sparse || generate;
constant uint o_type = MFA_OR(given_o_type, data_type);
constant bool packed_batches = MFA_OR(given_packed, false);
constant bool has_sinks = sinks_used && forward_pass;
constant bool write_lse = MFA_OR(given_write_lse, false) && forward_pass;
constant bool has_lse = write_lse || backward_pass;
constant bool staged = MFA_OR(given_staged, false);
constant bool complete =
    is_function_constant_defined(fixed_R) && is_function_constant_defined(fixed_C) &&
    is_function_constant_defined(fixed_H) && is_function_constant_defined(fixed_D) &&
    is_function_constant_defined(fixed_scale);
constant bool has_parameters = MFA_OR(given_parameters, !complete);

constant ushort R_simd = MFA_OR(given_R_simd, MFA_DEFAULT_R_SIMD);
constant ushort C_simd = MFA_OR(given_C_simd, MFA_DEFAULT_C_SIMD);
constant ushort R_splits = MFA_OR(given_R_splits, MFA_DEFAULT_R_SPLITS);
constant ushort R_group = R_simd * R_splits;
constant uint known_D = MFA_OR(fixed_D, 0);
constant uint known_D_V = MFA_OR(fixed_D_V, known_D);
constant ushort D_simd = MFA_OR(given_D_simd, ushort((known_D + 7) / 8 * 8));
constant ushort D_V_simd =
    MFA_OR(given_D_V_simd, known_D_V == 0 ? D_simd : ushort((known_D_V + 7) / 8 * 8));
constant ushort R_block = R_group + MFA_OR(given_R_bank, 0);
constant ushort C_block = C_simd + MFA_OR(given_C_bank, 0);
constant ushort D_block = D_simd + MFA_OR(given_D_bank, 0);
constant ushort D_V_block = D_V_simd + MFA_OR(given_D_bank, 0);

constant bool supported =
    (complete || has_parameters) && !MFA_OR(given_triangular, false) &&
    !(backward_pass && (forward_pass || !has_parameters)) && D_simd > 0 && D_V_simd > 0 &&
    (R_simd | C_simd | D_simd | D_V_simd) % 8 == 0 && R_simd <= MFA_MAX_ATTENTION_SIMD;

/// One stored operand at its (batch, head).
template <typename P>
struct attention_operand {
  P data;
  ulong leading;
};

/// Elements [first, sequence) x [0, size) of an operand -> a tile in the operand's orientation:
/// [sequence][size] where `rows`, else [size][sequence].
template <typename T, typename E>
inline void load_operand(attention_operand<const device T*> operand, bool rows, uint first,
                         uint sequence, uint size, mfa_tile<E> tile, mfa_place place) {
  const uint left = first < sequence ? sequence - first : 0;
  if (rows) {
    load_tile(operand.data + first * operand.leading, operand.leading, left, size, tile, place);
  } else {
    load_tile(operand.data + first, operand.leading, size, left, tile, place);
  }
}

/// What a threadgroup has to do. Uniform.
template <typename T>
struct attention_block {
  attention_operand<const device T*> Q, K, V;
  attention_operand<device uchar*> O;  // elements of o_type
  attention_scores scores;
  device float* lse;
  float sink;                // log2 units; `nothing`: none
  device uchar* block_mask;  // of this row of blocks
  uint R, C, D, D_V;
  uint r;         // the first row
  uint2 columns;  // [x, y): those that any of its rows attends to
};

/// Rounds to the type of O.
inline void store_output(device uchar* O, ulong index, float value) {
  if (o_type == MFA_TYPE_HALF) {
    reinterpret_cast<device half*>(O)[index] = half(value);
  } else if (o_type == MFA_TYPE_BFLOAT) {
    reinterpret_cast<device bfloat*>(O)[index] = bfloat(value);
  } else {
    reinterpret_cast<device float*>(O)[index] = value;
  }
}

/// What is subtracted from the scores of a row before exp2: its maximum, if it has seen anything.
inline float row_base(float maximum) { return maximum <= nothing ? 0.0f : maximum; }

/// A row's maximum m and sum l before any column: what its sink contributes.
template <typename T>
inline float first_maximum(const thread attention_block<T>& block) {
  return has_sinks ? block.sink : nothing;
}

template <typename T>
inline float first_sum(const thread attention_block<T>& block) {
  return has_sinks && block.sink > nothing ? 1.0f : 0.0f;
}

/// Output factor and log-sum-exp of a row with maximum m (log2 units) and sum l.
template <typename T>
inline float output_factor(const thread attention_block<T>& block, float l) {
  const float factor = l == 0.0f ? 0.0f : 1.0f / l;
  return dropout ? factor * block.scores.dropout_scale : factor;
}

inline float log_sum_exp(float m, float l) {
  return l == 0.0f ? as_type<float>(0xff800000u) : (m + precise::log2(l)) * ln_2;
}
