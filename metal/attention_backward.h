// SPDX-License-Identifier: MIT
// What the passes of attention's backward share: operands, tiles in threadgroup memory, products.
//
//   P = exp(S - L)                   S: logits of attention_score.h, L: log-sum-exp of a row
//   D = rowsum(dO * O)               its own small pass
//   dP = Z (dO * V^T)                Z: dropout, 0 or 1 / (1 - p); 1 without
//   dB = P (dP - D)                  the gradient of a bias, products of elements
//   dS = slope dB                    slope: d S / d (Q * K^T), the scale but for a soft cap
//   dV = (Z P)^T * dO,  dK = dS^T * Q,  dQ = dS * K
//
// Everything in threadgroup memory is float. The right-hand side of a product has contiguous rows
// there; the left-hand side may lie in either way. So the pass over rows works on S^T and the pass
// over columns on S, and neither turns a tile of Q, K, V or dO within its loop.
#pragma once

#include <metal_simdgroup_matrix>

#include "attention.h"
#include "attention_block.h"
#include "tile.h"

constant uint given_backward_form [[function_constant(MFA_CONSTANT_BACKWARD_FORM)]];
constant bool given_dO_trans [[function_constant(MFA_CONSTANT_DO_TRANS)]];
constant bool given_dQ_trans [[function_constant(MFA_CONSTANT_DQ_TRANS)]];
constant bool given_dK_trans [[function_constant(MFA_CONSTANT_DK_TRANS)]];
constant bool given_dV_trans [[function_constant(MFA_CONSTANT_DV_TRANS)]];
constant bool given_write_dQ [[function_constant(MFA_CONSTANT_WRITE_DQ)]];
constant bool given_write_dK [[function_constant(MFA_CONSTANT_WRITE_DK)]];
constant bool given_write_dV [[function_constant(MFA_CONSTANT_WRITE_DV)]];
constant uint given_dB_type [[function_constant(MFA_CONSTANT_DB_TYPE)]];

constant uint backward_form =
    backward_pass ? MFA_OR(given_backward_form, MFA_BACKWARD_SUMS) : MFA_BACKWARD_NONE;
constant bool backward_rows = backward_form == MFA_BACKWARD_ROWS;
constant bool backward_columns = backward_form == MFA_BACKWARD_COLUMNS;
constant bool backward_bias = backward_form == MFA_BACKWARD_BIAS;

constant bool dO_rows = !MFA_OR(given_dO_trans, false);
constant bool dQ_rows = !MFA_OR(given_dQ_trans, false);
constant bool dK_rows = !MFA_OR(given_dK_trans, false);
constant bool dV_rows = !MFA_OR(given_dV_trans, false);
constant uint dB_type = MFA_OR(given_dB_type, data_type);
constant bool sums_dQ = backward_columns && MFA_OR(given_write_dQ, false);
constant bool write_dQ = backward_rows || sums_dQ;
constant bool write_dK = backward_columns && MFA_OR(given_write_dK, true);
constant bool write_dV = backward_columns && MFA_OR(given_write_dV, true);
constant bool has_QKV = forward_pass || backward_rows || backward_columns || backward_bias;
constant bool has_O = forward_pass || backward_form == MFA_BACKWARD_SUMS;

#define MFA_MAX_BACKWARD_LANES 4  // rows or columns of a block that a lane looks after

constant ushort backward_lane_rows = (R_group + MFA_SIMDGROUP_SIZE - 1) / MFA_SIMDGROUP_SIZE;
constant ushort backward_lane_columns = (C_simd + MFA_SIMDGROUP_SIZE - 1) / MFA_SIMDGROUP_SIZE;
constant bool backward_fits =
    backward_lane_rows <= MFA_MAX_BACKWARD_LANES && backward_lane_columns <= MFA_MAX_BACKWARD_LANES;

constexpr constant float everything = 1e38f;  // a log-sum-exp that makes every weight 0

/// Buffers that only the backward pass has.
struct backward_buffers {
  device uchar *dO, *dQ, *dK, *dV, *dB;
  device float *sums, *dQ_sums;
  constant mfa_attention_backward_parameters* parameters;
};

/// One query head: what the forward pass saw, and its gradients. T is the type of Q, K, V and their
/// gradients, E that of O and dO.
template <typename T, typename E>
struct backward_block {
  attention_block<T> forward;
  attention_operand<const device E*> dO;
  attention_operand<device T*> dQ;
  device float* sums;     // D, one per row
  device float* dQ_sums;  // rows of D_simd elements, padded to R_group
  ulong summaries;        // from one row of block summaries to the next
};

template <typename T>
inline attention_operand<device T*> writable(device uchar* data, constant mfa_strides& strides,
                                             bool rows, uint first, uint batch, uint head) {
  const ulong start =
      batch * strides.batch + head * strides.head + first * (rows ? strides.leading : 1);
  return {reinterpret_cast<device T*>(data) + start, strides.leading};
}

template <typename T, typename E>
inline backward_block<T, E> make_backward_block(const thread attention_buffers& buffers,
                                                const thread backward_buffers& own, uint row,
                                                uint head, uint batch) {
  constant mfa_attention_backward_parameters& p = *own.parameters;
  const uint first_row = place_batch(buffers, batch).first_row;
  backward_block<T, E> block = {};
  block.forward = make_block<T>(buffers, row, head, batch);
  block.dO = strided<E>(own.dO, p.dO, dO_rows, first_row, batch, head);
  block.sums = own.sums + batch * p.sums_batch + head * p.sums_head + first_row;
  if (write_dQ) block.dQ = writable<T>(own.dQ, p.dQ, dQ_rows, first_row, batch, head);
  if (sums_dQ) block.dQ_sums = own.dQ_sums + batch * p.dQ_sums_batch + head * p.dQ_sums_head;
  block.summaries = buffers.parameters->block_mask.leading;
  return block;
}

/// Rows [first, first + count) of an operand -> to[count][width], zero-padded. Operands whose
/// sequence is contiguous pass through `spare`, which holds `room` >= 8 * count elements.
template <typename T>
inline void load_upright(attention_operand<const device T*> operand, bool rows, uint first,
                         uint sequence, uint size, threadgroup float* to, ushort count,
                         ushort width, threadgroup float* spare, uint room, mfa_place place) {
  if (rows) {
    const mfa_tile<float> tile = {to, count, width, width};
    load_operand(operand, true, first, sequence, size, tile, place);
    return;
  }
  const uint left = first < sequence ? sequence - first : 0;
  const ushort part = ushort(min(uint(width), room / count / 8 * 8));
  for (ushort d = 0; d < width; d += part) {
    const ushort n = min(part, ushort(width - d));
    const mfa_tile<float> tile = {spare, n, count, count};
    load_tile(operand.data + d * operand.leading + first, operand.leading, size > d ? size - d : 0,
              left, tile, place);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    transpose_tile(spare, count, to + d, width, n, count, place);
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
}

/// Rows [first, first + count) of an operand -> to[width][count], zero-padded. Operands whose rows
/// are contiguous pass through `spare`, which holds `room` >= 8 * width elements.
template <typename T>
inline void load_turned(attention_operand<const device T*> operand, bool rows, uint first,
                        uint sequence, uint size, threadgroup float* to, ushort count, ushort width,
                        threadgroup float* spare, uint room, mfa_place place) {
  if (!rows) {
    const mfa_tile<float> tile = {to, width, count, count};
    load_operand(operand, false, first, sequence, size, tile, place);
    return;
  }
  const ushort part = ushort(min(uint(count), room / width / 8 * 8));
  for (ushort r = 0; r < count; r += part) {
    const ushort n = min(part, ushort(count - r));
    const mfa_tile<float> tile = {spare, n, width, width};
    load_operand(operand, true, first + r, sequence, size, tile, place);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    transpose_tile(spare, width, to + r, count, n, width, place);
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
}

/// to[r][d] -> rows [first, sequence) of an operand.
template <typename T>
inline void store_upright(attention_operand<device T*> operand, bool rows, uint first,
                          uint sequence, uint size, const threadgroup float* from, ushort count,
                          ushort width, mfa_place place) {
  const uint left = min(uint(count), sequence - first);
  for (uint r = place.simdgroup; r < left; r += place.simdgroups) {
    const threadgroup float* row = from + r * width;
    for (ushort d = 0; d < size; d += MFA_SIMDGROUP_SIZE) {
      const ulong column = d + place.lane;
      if (column < size) {
        if (rows) {
          operand.data[(first + r) * operand.leading + column] = T(row[column]);
        } else {
          operand.data[first + r + column * operand.leading] = T(row[column]);
        }
      }
    }
  }
}

inline void clear_area(threadgroup float* area, uint count, mfa_place place) {
  for (uint i = place.simdgroup * MFA_SIMDGROUP_SIZE; i < count;
       i += place.simdgroups * MFA_SIMDGROUP_SIZE) {
    const ulong index = i + place.lane;
    if (index < count) area[index] = 0.0f;
  }
}

/// Left-hand side of a product: element (i, k) is data[i * leading + k], or data[k * leading + i].
struct product_side {
  const threadgroup float* data;
  ushort leading;
  bool turned;
};

/// C (8 rows, `tiles` * 8 columns) = A * B, plus C where `add`. `C` is in any address space.
template <typename P>
inline void multiply_strip(P C, ulong C_leading, product_side A, const threadgroup float* B,
                           ushort B_leading, ushort tiles, ushort depth, bool add) {
  simdgroup_float8x8 sums[4];
#pragma clang loop unroll(full)
  for (ushort j = 0; j < tiles; ++j) {
    if (add) {
      simdgroup_load(sums[j], C + j * 8, C_leading);
    } else {
      sums[j] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
    }
  }
#pragma clang loop unroll(full)
  for (ushort k = 0; k < depth; k += 8) {
    simdgroup_float8x8 a;
    if (A.turned) {
      simdgroup_load(a, A.data + uint(k) * A.leading, A.leading, ulong2(0), true);
    } else {
      simdgroup_load(a, A.data + k, A.leading);
    }
#pragma clang loop unroll(full)
    for (ushort j = 0; j < tiles; ++j) {
      simdgroup_float8x8 b;
      simdgroup_load(b, B + uint(k) * B_leading + j * 8, B_leading);
      simdgroup_multiply_accumulate(sums[j], a, b, sums[j]);
    }
  }
#pragma clang loop unroll(full)
  for (ushort j = 0; j < tiles; ++j) simdgroup_store(sums[j], C + j * 8, C_leading);
}

/// C (rows x columns) = A * B, plus C where `add`; sizes are multiples of 8. The simdgroups share
/// the rows.
template <typename P>
inline void multiply_block(P C, ulong C_leading, product_side A, const threadgroup float* B,
                           ushort B_leading, ushort rows, ushort columns, ushort depth, bool add,
                           mfa_place place) {
#pragma clang loop unroll(disable)
  for (ushort i = place.simdgroup * 8; i < rows; i += place.simdgroups * 8) {
    const product_side strip = {A.data + uint(i) * (A.turned ? 1 : A.leading), A.leading, A.turned};
    const ushort whole = columns / 32 * 32;
#pragma clang loop unroll(disable)
    for (ushort j = 0; j < whole; j += 32) {
      multiply_strip(C + i * C_leading + j, C_leading, strip, B + j, B_leading, 4, depth, add);
    }
    if (whole < columns) {
      multiply_strip(C + i * C_leading + whole, C_leading, strip, B + whole, B_leading,
                     ushort((columns - whole) / 8), depth, add);
    }
  }
}

/// The log-sum-exp of a row in log2 units, such that a row that saw nothing gets weights of 0.
template <typename T, typename E>
inline float backward_base(const thread backward_block<T, E>& block, uint row) {
  if (row >= block.forward.R) return everything;
  const float lse = block.forward.lse[row];
  return lse == as_type<float>(0xff800000u) ? everything : lse * log2_e;
}

template <typename T, typename E>
inline float backward_sum(const thread backward_block<T, E>& block, uint row) {
  return row < block.forward.R ? block.sums[row] : 0.0f;
}

/// What the summaries say of block (row, column).
template <typename T, typename E>
inline uchar backward_summary(const thread backward_block<T, E>& block, uint row, uint column) {
  if (!block_sparse) return MFA_BLOCK_MASKED;
  const ulong r = (row - block.forward.r) / R_group;
  return block.forward.block_mask[r * block.summaries + column / C_simd];
}

/// True if some element of block (row, column) does not take part.
template <typename T>
inline bool backward_edge(const thread attention_block<T>& block, uint row, uint column) {
  return score_bounded(block.scores, row, row + R_group, column, column + C_simd);
}

/// One element: the row's log-sum-exp and D, what mask and bias add to it, and its place.
struct backward_element {
  float base, sum, addend;
  uint row, column;
  bool edge;  // the place has to be tested
};

/// P of an element.
inline float backward_weight(const thread attention_scores& scores, float product,
                             backward_element e) {
  float logit = score_scaled(scores, product) + score_position(scores, e.row, e.column);
  if (has_addend) logit = e.addend <= nothing ? nothing : logit + e.addend;
  if (e.edge && !score_attends(scores, e.row, e.column)) logit = nothing;
  const float p = fast::exp2(logit - e.base);
  return (has_addend || e.edge) && logit <= nothing ? 0.0f : p;
}

/// dS of an element, or dB where that is what is asked for. `kept` is Z.
inline float backward_gradient(const thread attention_scores& scores, float product, float weight,
                               float dP, float kept, float sum) {
  const float dB = weight * ((dropout ? dP * kept : dP) - sum);
  return backward_bias ? dB : dB * score_slope(scores, product);
}

/// Z of an element.
inline float backward_kept(const thread attention_scores& scores, uint word) {
  return dropout_keeps(scores, word) ? scores.dropout_scale : 0.0f;
}
