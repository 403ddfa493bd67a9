// SPDX-License-Identifier: MIT
// Problem descriptors: what is to be computed, checked and with every default filled in.
#pragma once

#include <cstdint>

#include "host/buffer.h"

namespace mfa::host {

// Types are MTLDataType numbers, kinds are those of metal/shared.h. Strides count elements.

/// C = activation(alpha * op(A) * op(B) + beta * C + bias).
struct Gemm {
  uint32_t type;
  uint64_t M, N, K, batch;
  uint64_t lda, ldb, ldc;
  uint64_t stride_a, stride_b, stride_c, stride_bias;  // 0 broadcasts
  float alpha, beta;
  uint32_t activation;
  bool trans_a, trans_b, bias, bias_per_row;
};

struct GemmOperands {
  Operand a, b, c, bias;
};

struct Strides {
  uint64_t batch, head, row, column;  // one of row and column is 1; 0 broadcasts
};

/// O = softmax(scale * Q * K^T + mask) * V.
struct Attention {
  uint32_t type, mask_type;
  uint64_t B, H, Hkv, R, C, D, Dv;
  Strides q, k, v, o, mask;
  uint64_t lse_batch, lse_head;
  float scale;
  uint32_t mask_kind, causal;
  bool lse;
};

struct AttentionOperands {
  Operand q, k, v, o, mask, lse;
};

struct Cast {
  uint32_t source_type, destination_type;
  uint64_t count, rows, source_stride, destination_stride;
};

struct CastOperands {
  Operand source, destination;
};

}  // namespace mfa::host
