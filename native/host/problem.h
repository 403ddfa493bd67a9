// SPDX-License-Identifier: MIT
// Problem descriptors: what is to be computed, checked and with every default filled in.
#pragma once

#include <cstdint>

#include "host/buffer.h"

namespace mfa::host {

// Types are MTLDataType numbers, kinds are those of metal/shared.h. Strides count elements.

/// C = activation(alpha * op(A) * op(B) + beta * C + bias), whatever the types.
struct Product {
  uint64_t M, N, K, batch;
  uint64_t lda, ldb, ldc;
  uint64_t stride_a, stride_b, stride_c, stride_bias;  // 0 broadcasts
  float alpha, beta;
  uint32_t activation;
  bool trans_a, trans_b, bias, bias_per_row;

  // Of the stored B.
  uint64_t rows_b() const { return trans_b ? N : K; }
  uint64_t columns_b() const { return trans_b ? K : N; }
};

struct Gemm : Product {
  uint32_t type;
};

struct GemmOperands {
  Operand a, b, c, bias;
};

/// B holds numbers of `bits` bits, with scales and zero points or with palettes.
struct Qgemm : Product {
  uint32_t input_type, weight_type, output_type;
  uint32_t quantization, bits;
  uint32_t group_size;  // weights of a scale, or rows (columns) of a palette; 0: one palette
  uint64_t ld_scales, stride_scales, first_b;
  bool palette_columns, msb_first;

  uint64_t groups(uint64_t count) const {
    return group_size == 0 ? 1 : count / group_size + (count % group_size != 0);
  }
  bool affine() const { return quantization == 0; }
  /// How many scales, or entries of palettes, a matrix has.
  uint64_t scales() const {
    if (affine()) return rows_b() * ld_scales;
    return groups(palette_columns ? columns_b() : rows_b()) << bits;
  }
};

struct QgemmOperands {
  Operand a, b, c, bias, scales, zero_points;
};

constexpr uint32_t no_limit = UINT32_MAX;  // of a window; MFA_NO_LIMIT to the kernels

/// Are blocks of a mask summarised first?
enum class Sparsity { automatic, on, off };

struct Strides {
  uint64_t batch, head, row, column;  // one of row and column is 1; 0 broadcasts
};

/// O = softmax(cap(scale * Q * K^T) + position + mask + bias) * V.
struct Attention {
  uint32_t type, mask_type, bias_type, o_type;
  uint64_t B, H, Hkv, R, C, D, Dv;
  uint64_t total_R, total_C;  // packed: rows of all batches together
  Strides q, k, v, o, mask, bias;
  uint64_t lse_batch, lse_head, slopes_batch;
  float scale, soft_cap;  // soft_cap 0: none
  uint32_t mask_kind, causal;
  uint32_t window_left, window_right;  // no_limit: not bounded
  float dropout;                       // 0: none
  uint64_t seed, offset;
  Sparsity sparsity;
  bool lse, has_bias, slopes, sinks, packed;

  bool window() const { return window_left != no_limit || window_right != no_limit; }
};

struct AttentionOperands {
  Operand q, k, v, o, mask, lse, bias, slopes, sinks, row_starts, column_starts;
};

/// The gradients of `forward`, whose `o` and `lse` are inputs here.
struct AttentionBackward {
  Attention forward;
  uint32_t dbias_type;
  Strides d_o, dq, dk, dv, dbias;          // dbias: 0 sums over the axis
  bool has_dq, has_dk, has_dv, has_dbias;  // which are wanted
};

struct AttentionBackwardOperands {
  AttentionOperands forward;
  Operand d_o, dq, dk, dv, dbias;
};

/// Attention of a few queries to a cache, whose keys are split among threadgroups.
struct Decode {
  Attention attention;   // k and v: strides of what is stored, a page in the place of a batch
  uint32_t kv_type;      // of K and V, or of their scales
  uint32_t bits, group;  // bits 0: not quantized
  Strides k_scales, v_scales;
  uint64_t page_size, pages, table_stride;  // page_size 0: not paged
  uint32_t splits;                          // 0: chosen
  bool lengths;
};

struct DecodeOperands {
  Operand q, k, v, o, mask, lse, bias, slopes, sinks;
  Operand k_scales, k_biases, v_scales, v_biases, lengths, table;
};

/// Two outputs of attention with their log-sum-exps -> one.
struct Merge {
  uint32_t type, o_type;
  uint64_t B, H, R, Dv;
  Strides first, second, o;
  uint64_t first_lse_batch, first_lse_head, second_lse_batch, second_lse_head;
  uint64_t lse_batch, lse_head;
  bool lse;
};

struct MergeOperands {
  Operand first, first_lse, second, second_lse, o, lse;
};

struct Cast {
  uint32_t source_type, destination_type;
  uint64_t count, rows, source_stride, destination_stride;
};

struct CastOperands {
  Operand source, destination;
};

enum class Weights { dense = 0, palettized = 1, winograd = 2 };
enum class Algorithm { automatic = 0, direct = 1, winograd = 2 };

/// Data N, spatial..., C; weights K, window..., C / groups; output N, spatial..., K. Arrays have
/// the outermost dimension first and are filled from the end: sizes along dimensions that are not
/// there are 1.
struct Convolution {
  uint32_t type;
  uint32_t dimensions;
  uint64_t images, C, K, groups;
  uint64_t input[3], output[3], window[3], stride[3], dilation[3];
  uint64_t padding[3];  // before the first element; transposed: how much of the output is cut off
  uint32_t activation;
  Algorithm algorithm;
  Weights weights;
  uint32_t palette_bits, palette_group;  // output channels that share a palette; 0: all
  bool msb_first;
  bool transposed, bias;
};

struct ConvolutionOperands {
  Operand data, weights, palette, bias, result;
};

}  // namespace mfa::host
