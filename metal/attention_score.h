// SPDX-License-Identifier: MIT
// One product Q[r] * K[c] -> the logit that softmax sees, and its weight after dropout. The forward
// and the backward kernels share this file, so that both see the same numbers.
//
//   s = scale * Q[r] * K[c]                       attention_scores.scale
//   s = cap * tanh(s / cap)                       SOFT_CAP
//   s = s - slope * |r + diagonal - c|            ALIBI, one slope per head
//   s = s + mask[r, c] + bias[r, c]               MASK_KIND, BIAS; false and -inf exclude c
//   c takes part where low <= c - r <= high       CAUSAL, WINDOW
//   P = exp(s) / (sum of exp(s) + exp(sink))      SINKS: only the sum, see the forward kernel
//   P = kept(batch, head, r, c) ? P / (1 - p) : 0 DROPOUT, for the product with V only
//
// `diagonal` is C - R, and 0 with upper-left alignment. Logits are in log2 units throughout, so
// that weights are exp2 of differences; `nothing` stands for -inf.
//
// How a kernel uses it:
//   make_scores    parameter block and buffers -> attention_scores of one (batch, head); uniform
//   score_columns  rows of a block -> the columns worth visiting (skips causal and window blocks)
//   score_rows     the other way round, for kernels that walk along rows
//   score_bounded  does a block need the tests of score_attends at all? Uniform
//   score_logit    everything above in one call, for element (row, column); or its parts:
//                  score_scaled + score_position + score_addend, nothing unless score_attends
//   score_slope    d logit / d (Q * K) in natural units: scale * (1 - tanh^2)
//   score_weight   logit and LSE -> P, for the backward pass
//   dropout_words  one Philox call -> the words of columns 4 q ... 4 q + 3; dropout_keeps(word)
#pragma once

#include <metal_stdlib>

#include "shared.h"

using namespace metal;

constant uint given_data_type [[function_constant(MFA_CONSTANT_DATA_TYPE)]];
constant float fixed_scale [[function_constant(MFA_CONSTANT_ALPHA)]];
constant bool given_batched [[function_constant(MFA_CONSTANT_BATCHED)]];
constant bool given_masked [[function_constant(MFA_CONSTANT_MASKED)]];
constant uint given_causal [[function_constant(MFA_CONSTANT_CAUSAL)]];
constant uint given_mask_kind [[function_constant(MFA_CONSTANT_MASK_KIND)]];
constant uint given_mask_type [[function_constant(MFA_CONSTANT_MASK_TYPE)]];
constant bool given_window [[function_constant(MFA_CONSTANT_WINDOW)]];
constant bool given_soft_cap [[function_constant(MFA_CONSTANT_SOFT_CAP)]];
constant bool given_alibi [[function_constant(MFA_CONSTANT_ALIBI)]];
constant bool given_sinks [[function_constant(MFA_CONSTANT_SINKS)]];
constant bool given_dropout [[function_constant(MFA_CONSTANT_DROPOUT)]];
constant bool given_bias [[function_constant(MFA_CONSTANT_BIAS)]];
constant uint given_bias_type [[function_constant(MFA_CONSTANT_BIAS_TYPE)]];

#define MFA_OR(constant_name, value) \
  (is_function_constant_defined(constant_name) ? constant_name : (value))

constant uint data_type = MFA_OR(given_data_type, MFA_TYPE_FLOAT);
constant bool batched = MFA_OR(given_batched, false);
constant uint mask_kind =
    MFA_OR(given_mask_kind, MFA_OR(given_masked, false) ? MFA_MASK_ADDITIVE_SCALED : MFA_MASK_NONE);
constant uint mask_type = MFA_OR(given_mask_type, data_type);
constant bool has_mask = mask_kind != MFA_MASK_NONE;
constant bool has_offsets = batched && has_mask;
constant bool has_bias = MFA_OR(given_bias, false);
constant uint bias_type = MFA_OR(given_bias_type, data_type);
constant bool has_addend = has_mask || has_bias;
constant uint causal = MFA_OR(given_causal, MFA_CAUSAL_NONE);
constant bool window = MFA_OR(given_window, false);
constant bool soft_cap = MFA_OR(given_soft_cap, false);
constant bool alibi = MFA_OR(given_alibi, false);
constant bool sinks_used = MFA_OR(given_sinks, false);
constant bool dropout = MFA_OR(given_dropout, false);
constant bool bounded = causal != MFA_CAUSAL_NONE || window;

constexpr constant float nothing = -1e38f;  // a score that takes no part; log2 units
constexpr constant float log2_e = 1.44269504f;
constexpr constant float ln_2 = 0.693147181f;

/// What make_scores reads; what a variant does not use is null.
struct score_buffers {
  const device uchar* mask;
  const device uchar* bias;
  const device float* slopes;  // natural units
  constant ulong4* offsets;    // MFA 1.0
  constant mfa_score_parameters* parameters;
};

/// A mask or bias at its (batch, head).
struct score_operand {
  const device uchar* data;
  ulong leading;  // elements from row to row; columns are contiguous
};

/// The scores of one (batch, head). Uniform.
struct attention_scores {
  uint R, C;
  uint batch, head;
  float scale;         // to log2 units; with a soft cap to the argument of tanh
  float cap;           // log2 units
  float slope;         // log2 units
  float addend_scale;  // of additive masks, to log2 units
  int diagonal;        // column - row on the diagonal
  int low, high;       // low <= column - row <= high takes part
  score_operand mask, bias;
  uint2 dropout_key;
  uint dropout_threshold;
  float dropout_scale;  // 1 / (1 - p)
};

inline ulong score_element_size(uint type) { return type == MFA_TYPE_FLOAT ? 4 : 2; }

/// Sizes, scale, mask and everything else of one (batch, head).
inline attention_scores make_scores(score_buffers buffers, uint R, uint C, uint batch, uint head) {
  constant mfa_score_parameters* p = buffers.parameters;
  attention_scores s = {};
  s.R = R;
  s.C = C;
  s.batch = batch;
  s.head = head;
  const float scale = is_function_constant_defined(fixed_scale) ? fixed_scale : p->scale;
  s.scale = soft_cap ? scale / p->soft_cap : scale * log2_e;
  if (soft_cap) s.cap = p->soft_cap * log2_e;
  if (alibi) s.slope = buffers.slopes[batch * p->slopes_batch + head] * log2_e;
  s.addend_scale = mask_kind == MFA_MASK_ADDITIVE_SCALED ? s.scale : log2_e;
  s.diagonal = causal == MFA_CAUSAL_UPPER_LEFT ? 0 : int(C) - int(R);
  s.low = -0x7fffffff;
  s.high = 0x7fffffff;
  if (window) {
    const long left = p->window_left, right = p->window_right;
    if (p->window_left != MFA_NO_LIMIT) s.low = int(max(s.diagonal - left, long(s.low)));
    if (p->window_right != MFA_NO_LIMIT) s.high = int(min(s.diagonal + right, long(s.high)));
  }
  if (causal != MFA_CAUSAL_NONE) s.high = min(s.high, s.diagonal);
  if (has_mask) {
    s.mask.leading = C;
    s.mask.data = buffers.mask;
    if (p != nullptr) {
      const ulong size = mask_kind == MFA_MASK_BOOLEAN ? 1 : score_element_size(mask_type);
      s.mask.leading = p->mask.leading;
      s.mask.data += (batch * p->mask.batch + head * p->mask.head) * size;
    }
    if (has_offsets) s.mask.data += buffers.offsets[batch].x;
  }
  if (has_bias) {
    const ulong first = batch * p->bias.batch + head * p->bias.head;
    s.bias = {buffers.bias + first * score_element_size(bias_type), p->bias.leading};
  }
  if (dropout) {
    s.dropout_key = uint2(p->dropout_key[0], p->dropout_key[1]);
    s.dropout_threshold = p->dropout_threshold;
    s.dropout_scale = p->dropout_scale;
  }
  return s;
}

// ---- Which elements take part.

/// Columns [x, y) that rows [row, end) may attend to, by causal and window.
inline uint2 score_columns(const thread attention_scores& s, uint row, uint end) {
  uint2 columns = uint2(0, s.C);
  if (bounded) {
    columns.y = uint(clamp(long(end) + s.high, long(0), long(s.C)));
    if (window) columns.x = uint(clamp(long(row) + s.low, long(0), long(s.C)));
  }
  return columns;
}

/// Rows [x, y) that may attend to any of the columns [column, end).
inline uint2 score_rows(const thread attention_scores& s, uint column, uint end) {
  uint2 rows = uint2(0, s.R);
  if (bounded) {
    rows.x = uint(clamp(long(column) - s.high, long(0), long(s.R)));
    if (window) rows.y = uint(clamp(long(end) - s.low, long(0), long(s.R)));
  }
  return rows;
}

/// True unless all of rows [row, row_end) and columns [column, end) take part. Uniform.
inline bool score_bounded(const thread attention_scores& s, uint row, uint row_end, uint column,
                          uint end) {
  if (end > s.C) return true;
  if (!bounded) return false;
  const bool above = long(end) - 1 - long(row) > s.high;
  return above || (window && long(column) - (long(row_end) - 1) < s.low);
}

/// Does the row attend to the column, as far as C, causal and window go?
inline bool score_attends(const thread attention_scores& s, uint row, uint column) {
  bool attends = column < s.C;
  if (bounded) {
    const int distance = int(column) - int(row);
    attends = attends && distance <= s.high;
    if (window) attends = attends && distance >= s.low;
  }
  return attends;
}

// ---- What their logits are.

/// Element `index` of an additive mask or bias.
inline float addend_value(const device uchar* data, uint type, ulong index) {
  if (type == MFA_TYPE_HALF) return float(reinterpret_cast<const device half*>(data)[index]);
  if (type == MFA_TYPE_BFLOAT) return float(reinterpret_cast<const device bfloat*>(data)[index]);
  return reinterpret_cast<const device float*>(data)[index];
}

/// True if an additive mask's value takes its element out. MFA 1.0 marks them by the type's
/// lowest number, which its scaling may halve.
inline bool mask_excludes(float value) {
  if (mask_kind == MFA_MASK_ADDITIVE_SCALED && mask_type == MFA_TYPE_HALF) return value < -32752.0f;
  return value < nothing;
}

/// What mask and bias add to the logit of (row, column), in log2 units; `nothing` excludes it.
/// Both must lie inside R x C.
inline float score_addend(const thread attention_scores& s, uint row, ulong column) {
  float addend = 0.0f;
  bool excluded = false;
  if (mask_kind == MFA_MASK_BOOLEAN) {
    excluded = s.mask.data[row * s.mask.leading + column] == 0;
  } else if (has_mask) {
    const float value = addend_value(s.mask.data, mask_type, row * s.mask.leading + column);
    excluded = mask_excludes(value);
    addend = value * s.addend_scale;
  }
  if (has_bias) {
    const float value = addend_value(s.bias.data, bias_type, row * s.bias.leading + column);
    excluded = excluded || value < nothing;
    addend = fma(value, log2_e, addend);
  }
  return excluded ? nothing : addend;
}

/// True if the addends of all rows are the same.
inline bool score_addend_repeats(const thread attention_scores& s) {
  return (!has_mask || s.mask.leading == 0) && (!has_bias || s.bias.leading == 0);
}

/// Q * K -> log2 units, soft cap included.
inline float score_scaled(const thread attention_scores& s, float product) {
  return soft_cap ? s.cap * precise::tanh(product * s.scale) : product * s.scale;
}

/// What the distance of key and query adds.
inline float score_position(const thread attention_scores& s, uint row, uint column) {
  if (!alibi) return 0.0f;
  return -s.slope * float(abs(int(row) + s.diagonal - int(column)));
}

/// The whole logit of (row, column), of which row < R. `masked`: mask and bias have to be read;
/// `edge`: score_bounded. Both uniform.
inline float score_logit(const thread attention_scores& s, float product, uint row, ulong column,
                         bool masked, bool edge) {
  float logit = score_scaled(s, product) + score_position(s, row, uint(column));
  if (has_addend && masked) {
    const float addend = !edge || column < s.C ? score_addend(s, row, column) : nothing;
    logit = addend <= nothing ? nothing : logit + addend;
  }
  return !edge || score_attends(s, row, uint(column)) ? logit : nothing;
}

/// d logit / d (Q * K), in natural units.
inline float score_slope(const thread attention_scores& s, float product) {
  if (!soft_cap) return s.scale * ln_2;
  const float t = precise::tanh(product * s.scale);
  return s.cap * ln_2 * s.scale * (1.0f - t * t);
}

/// The softmax weight of a logit in a row with log-sum-exp `lse` (natural; -inf: an empty row).
inline float score_weight(float logit, float lse) {
  const float base = lse * log2_e;
  return fast::exp2(logit - (base <= nothing ? 0.0f : base));
}

// ---- Dropout: Philox 4x32-10, keyed by the caller's seed and offset, counted by the element.

/// Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011).
inline uint4 philox(uint4 counter, uint2 key) {
#pragma clang loop unroll(full)
  for (ushort round = 0; round < 10; ++round) {
    const uint high0 = mulhi(0xD2511F53u, counter.x), low0 = 0xD2511F53u * counter.x;
    const uint high1 = mulhi(0xCD9E8D57u, counter.z), low1 = 0xCD9E8D57u * counter.z;
    counter = uint4(high1 ^ counter.y ^ key.x, low1, high0 ^ counter.w ^ key.y, low0);
    key += uint2(0x9E3779B9u, 0xBB67AE85u);
  }
  return counter;
}

/// The random words of row `row` and columns 4 quad ... 4 quad + 3.
inline uint4 dropout_words(const thread attention_scores& s, uint row, uint quad) {
  return philox(uint4(quad, row, s.head, s.batch), s.dropout_key);
}

/// Is the element with this word kept? Its weight is then multiplied by dropout_scale.
inline bool dropout_keeps(const thread attention_scores& s, uint word) {
  return word >= s.dropout_threshold;
}
