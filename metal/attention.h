// SPDX-License-Identifier: MIT
// Function constants and parameter block of `attention` -> what one threadgroup has to do.
#pragma once

#include <metal_stdlib>

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
constant float fixed_scale [[function_constant(MFA_CONSTANT_ALPHA)]];
constant uint given_data_type [[function_constant(MFA_CONSTANT_DATA_TYPE)]];
constant bool given_batched [[function_constant(MFA_CONSTANT_BATCHED)]];
constant bool given_masked [[function_constant(MFA_CONSTANT_MASKED)]];
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
constant uint given_causal [[function_constant(MFA_CONSTANT_CAUSAL)]];
constant uint given_mask_kind [[function_constant(MFA_CONSTANT_MASK_KIND)]];
constant uint given_mask_type [[function_constant(MFA_CONSTANT_MASK_TYPE)]];
constant bool given_write_lse [[function_constant(MFA_CONSTANT_WRITE_LSE)]];
constant ushort given_D_simd [[function_constant(MFA_CONSTANT_D_SIMD)]];
constant ushort given_D_V_simd [[function_constant(MFA_CONSTANT_D_V_SIMD)]];

#define MFA_OR(constant_name, value) \
  (is_function_constant_defined(constant_name) ? constant_name : (value))

// Which index of a stored operand is contiguous: true for D, false for the sequence.
constant bool Q_rows = !MFA_OR(given_Q_trans, false);
constant bool K_rows = MFA_OR(given_K_trans, true);
constant bool V_rows = !MFA_OR(given_V_trans, false);
constant bool O_rows = !MFA_OR(given_O_trans, false);

constant uint data_type = MFA_OR(given_data_type, MFA_TYPE_FLOAT);
constant bool batched = MFA_OR(given_batched, false);
constant bool grouped_query = MFA_OR(given_grouped_query, false);
constant bool generate = MFA_OR(given_generate, false);
constant bool forward_pass = MFA_OR(given_forward, true) && !generate;
constant uint mask_kind =
    MFA_OR(given_mask_kind, MFA_OR(given_masked, false) ? MFA_MASK_ADDITIVE_SCALED : MFA_MASK_NONE);
constant uint mask_type = MFA_OR(given_mask_type, data_type);
constant bool has_mask = mask_kind != MFA_MASK_NONE;
constant bool block_sparse = has_mask && !generate && MFA_OR(given_block_sparse, false);
constant bool has_block_mask = block_sparse || generate;
constant uint causal = MFA_OR(given_causal, MFA_CAUSAL_NONE);
constant bool write_lse = MFA_OR(given_write_lse, false) && forward_pass;
constant bool staged = MFA_OR(given_staged, false);
constant bool has_offsets = batched && has_mask;
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
    !MFA_OR(given_backward, false) && D_simd > 0 && D_V_simd > 0 &&
    (R_simd | C_simd | D_simd | D_V_simd) % 8 == 0 && R_simd <= MFA_MAX_ATTENTION_SIMD;

constexpr constant float nothing = -1e38f;  // a score that takes no part; log2 units
constexpr constant float log2_e = 1.44269504f;
constexpr constant float ln_2 = 0.693147181f;

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
  attention_operand<device T*> O;
  device float* lse;
  attention_operand<const device uchar*> mask;  // leading counts elements
  device uchar* block_mask;                     // of this row of blocks
  uint R, C, D, D_V;
  uint r;             // the first row
  uint columns;       // columns any of its rows attends to
  int causal_offset;  // column <= row + causal_offset
  float scale;        // times log2(e)
};

/// Element `index` of an additive mask.
inline float mask_value(const device uchar* mask, ulong index) {
  if (mask_type == MFA_TYPE_HALF) return float(reinterpret_cast<const device half*>(mask)[index]);
  if (mask_type == MFA_TYPE_BFLOAT) {
    return float(reinterpret_cast<const device bfloat*>(mask)[index]);
  }
  return reinterpret_cast<const device float*>(mask)[index];
}

/// True if an additive mask's value takes its element out. MFA 1.0 marks them by the type's
/// lowest number, which its scaling may halve.
inline bool mask_excludes(float value) {
  if (mask_kind == MFA_MASK_ADDITIVE_SCALED && mask_type == MFA_TYPE_HALF) return value < -32752.0f;
  return value < nothing;
}

/// What element `index` of the mask adds to a scaled score in log2 units; `nothing` excludes it.
inline float mask_addend(const device uchar* mask, ulong index, float scale) {
  if (mask_kind == MFA_MASK_BOOLEAN) return mask[index] != 0 ? 0.0f : nothing;
  const float value = mask_value(mask, index);
  const float factor = mask_kind == MFA_MASK_ADDITIVE ? log2_e : scale;
  return mask_excludes(value) ? nothing : value * factor;
}

/// A raw score -> its logit in log2 units.
inline float masked_score(float score, float scale, float addend) {
  return addend <= nothing ? nothing : fma(score, scale, addend);
}

inline ulong mask_element_size() {
  if (mask_kind == MFA_MASK_BOOLEAN) return 1;
  return mask_type == MFA_TYPE_FLOAT ? 4 : 2;
}

/// What is subtracted from the scores of a row before exp2: its maximum, if it has seen anything.
inline float row_base(float maximum) { return maximum <= nothing ? 0.0f : maximum; }

/// Output factor and log-sum-exp of a row with maximum m (log2 units) and sum l.
inline float reciprocal(float l) { return l == 0.0f ? 0.0f : 1.0f / l; }

inline float log_sum_exp(float m, float l) {
  return l == 0.0f ? as_type<float>(0xff800000u) : (m + precise::log2(l)) * ln_2;
}
