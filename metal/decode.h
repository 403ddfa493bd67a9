// SPDX-License-Identifier: MIT
// Attention of a few queries to a cache of keys and values: one simdgroup streams a range of keys.
//
// The queries of all heads that share a key/value head are the rows, so that K and V are read once
// for all of them. Lanes run along a key's elements for Q * K and P * V, and along 32 keys for
// softmax:
//
//   O = 0, m = -inf, l = 0                    for each row
//   for blocks of up to 256 keys in this split:
//     for each 32 of them:  s[lane = key] = simd_sum(Q * K[key])  for each key
//     m' = max(m, s);  P = exp2(s - m');  l = l * exp2(m - m') + sum(P)
//     O = O * exp2(m - m') + P[key] * V[key]  for each key
//   O = O / l,  LSE = m + ln(l)               the whole result, or a part for `merge`
//
// A block is that long because K and V are two streams: the shorter the stretches, the more often
// memory is asked for what no prefetcher has foreseen.
//
// K and V may be 8- or 4-bit integers with a scale and a bias per group of 32 or 64, and may lie in
// pages that a table lists. Both are undone while an element is read.
#pragma once

#include <metal_stdlib>

#include "attention_score.h"
#include "shared.h"

using namespace metal;

constant uint fixed_D [[function_constant(MFA_CONSTANT_D)]];
constant uint fixed_D_V [[function_constant(MFA_CONSTANT_D_V)]];
constant bool given_write_lse [[function_constant(MFA_CONSTANT_WRITE_LSE)]];
constant uint given_o_type [[function_constant(MFA_CONSTANT_O_TYPE)]];
constant uint given_kv_type [[function_constant(MFA_CONSTANT_KV_TYPE)]];
constant uint given_kv_bits [[function_constant(MFA_CONSTANT_KV_BITS)]];
constant uint given_kv_group [[function_constant(MFA_CONSTANT_KV_GROUP)]];
constant uint given_page_size [[function_constant(MFA_CONSTANT_PAGE_SIZE)]];
constant bool given_lengths [[function_constant(MFA_CONSTANT_LENGTHS)]];
constant bool given_split [[function_constant(MFA_CONSTANT_SPLIT)]];
constant ushort given_rows [[function_constant(MFA_CONSTANT_ROWS)]];

constant uint decode_D = MFA_OR(fixed_D, 0);
constant uint decode_D_V = MFA_OR(fixed_D_V, decode_D);
constant uint decode_o_type = MFA_OR(given_o_type, data_type);
constant uint kv_type = MFA_OR(given_kv_type, data_type);  // quantized: of scales and biases
constant uint kv_bits = MFA_OR(given_kv_bits, 0);          // 0: not quantized
constant uint kv_group = MFA_OR(given_kv_group, 64);
constant bool quantized = kv_bits != 0;
constant uint page_size = MFA_OR(given_page_size, 0);  // 0: not paged
constant bool paged = page_size != 0;
constant bool has_lengths = MFA_OR(given_lengths, false);
constant bool split = MFA_OR(given_split, false);
constant bool decode_whole = !split;  // writes O itself
constant bool decode_lse = MFA_OR(given_write_lse, false) && decode_whole;
constant ushort rows = MFA_OR(given_rows, 1);
constant uint chunk_span = kv_bits == 4 ? 64 : 32;  // elements that one access of all lanes gives
constant ushort per_lane = kv_bits == 4 ? 2 : 1;    // elements of it that a lane gets
constant ushort D_chunks = (decode_D + chunk_span - 1) / chunk_span * per_lane;
constant ushort D_V_chunks = (decode_D_V + chunk_span - 1) / chunk_span * per_lane;
constant bool decode_supported = decode_D > 0 && decode_D_V > 0 && rows > 0 &&
                                 rows <= MFA_MAX_DECODE_ROWS &&
                                 (decode_D > decode_D_V ? D_chunks
                                                        : D_V_chunks) <= MFA_MAX_DECODE_CHUNKS;

/// The buffers of `decode`; those a variant does not use are null.
struct decode_buffers {
  const device uchar *Q, *K, *V;
  device uchar* O;
  device float* lse;
  const device float* sinks;
  const device uint *lengths, *table;
  const device uchar *K_scales, *K_biases, *V_scales, *V_biases;
  device float* partials;
  constant mfa_decode_parameters* parameters;
};

/// One of K and V at its head.
struct decode_cache {
  const device uchar *data, *scales, *biases;
  ulong batch, row, scale_batch, scale_row;  // batch: page to page if paged
};

/// The column of element `chunk` that a lane holds.
inline uint decode_column(ushort chunk, ulong lane) {
  if (per_lane == 1) return chunk * 32 + uint(lane);
  return chunk / 2 * 64 + uint(lane) * 2 + chunk % 2;
}

/// Elements of one key or value -> registers, as float. `size` is D or D_V.
inline void decode_load(decode_cache cache, ulong where, ulong scale_where, uint size,
                        ushort chunks, ulong lane, thread float* to) {
  if (!quantized) {
#pragma clang loop unroll(full)
    for (ushort i = 0; i < chunks; ++i) {
      const ulong column = i * 32 + lane;
      to[i] = 0.0f;
      if (size % 32 == 0 || column < size)
        to[i] = addend_value(cache.data, kv_type, where + column);
    }
  } else if (kv_bits == 8) {
#pragma clang loop unroll(full)
    for (ushort i = 0; i < chunks; ++i) {
      const ulong group = scale_where + i * 32 / kv_group;
      const float scale = addend_value(cache.scales, kv_type, group);
      const float bias = addend_value(cache.biases, kv_type, group);
      to[i] = fma(float(cache.data[where + i * 32 + lane]), scale, bias);
    }
  } else {
    // Two elements to a byte, the lower half first; 64 elements are one or two groups.
#pragma clang loop unroll(full)
    for (ushort i = 0; i < chunks; i += 2) {
      ulong group = scale_where + i / 2 * 64 / kv_group;
      float scale = addend_value(cache.scales, kv_type, group);
      float bias = addend_value(cache.biases, kv_type, group);
      const bool whole = i * 32 + 64 <= size;
      if (kv_group == 32 && whole) {
        const float second = addend_value(cache.scales, kv_type, group + 1);
        const float second_bias = addend_value(cache.biases, kv_type, group + 1);
        scale = lane < 16 ? scale : second;
        bias = lane < 16 ? bias : second_bias;
      }
      uint both = 0;
      if (whole || lane < 16) both = cache.data[where + i * 16 + lane];
      to[i] = fma(float(both & 15), scale, bias);
      to[i + 1] = fma(float(both >> 4), scale, bias);
    }
  }
}

/// Where a key's elements and its scales begin.
struct decode_place {
  ulong data, scale;
};

/// A page number that is not one reads the last page instead of other memory.
inline decode_place place_key(decode_cache cache, const device uint* table, uint pages, uint key) {
  if (!paged) return {key * cache.row, key * cache.scale_row};
  const ulong page = min(table[key / page_size], pages - 1), slot = key % page_size;
  return {page * cache.batch + slot * cache.row, page * cache.scale_batch + slot * cache.scale_row};
}

inline decode_cache open_cache(const device uchar* data, const device uchar* scales,
                               const device uchar* biases, constant mfa_strides& at,
                               constant mfa_strides& scale_at, uint batch, uint head) {
  // Pages belong to no batch: their stride is used when a key is looked up.
  const ulong element = quantized ? 1 : score_element_size(kv_type);
  ulong start = head * at.head, scale_start = head * scale_at.head;
  if (!paged) {
    start += batch * at.batch;
    scale_start += batch * scale_at.batch;
  }
  decode_cache cache = {data + start * element, nullptr,         nullptr, at.batch, at.leading,
                        scale_at.batch,         scale_at.leading};
  if (quantized) {
    cache.scales = scales + scale_start * score_element_size(kv_type);
    cache.biases = biases + scale_start * score_element_size(kv_type);
  }
  return cache;
}

inline void decode_store(device uchar* O, ulong index, float value) {
  if (decode_o_type == MFA_TYPE_HALF) {
    reinterpret_cast<device half*>(O)[index] = half(value);
  } else if (decode_o_type == MFA_TYPE_BFLOAT) {
    reinterpret_cast<device bfloat*>(O)[index] = bfloat(value);
  } else {
    reinterpret_cast<device float*>(O)[index] = value;
  }
}

/// The rows of one threadgroup: row i is query `query` of head `head`. Uniform.
struct decode_row {
  attention_scores scores;
  uint head, query;
  bool exists;
  float m, l;  // log2 units; the same in all lanes
};

/// Threadgroup (split, block of rows of a key/value head, batch).
inline void decode_block(const thread decode_buffers& buffers, score_buffers masks,
                         threadgroup float* weights, uint3 group, ulong lane) {
  constant mfa_decode_parameters& p = *buffers.parameters;
  const uint batch = group.z;
  const uint kv_head = group.y / p.row_blocks, first_row = group.y % p.row_blocks * rows;
  const uint C = has_lengths ? min(buffers.lengths[batch], p.C) : p.C;
  const device uint* table = paged ? buffers.table + batch * p.table_row : nullptr;
  const decode_cache K =
      open_cache(buffers.K, buffers.K_scales, buffers.K_biases, p.K, p.K_scales, batch, kv_head);
  const decode_cache V =
      open_cache(buffers.V, buffers.V_scales, buffers.V_biases, p.V, p.V_scales, batch, kv_head);

  decode_row row[MFA_MAX_DECODE_ROWS];
  float Q[MFA_MAX_DECODE_ROWS * MFA_MAX_DECODE_CHUNKS];
  float O[MFA_MAX_DECODE_ROWS * MFA_MAX_DECODE_CHUNKS];
  uint2 columns = uint2(C, 0);
#pragma clang loop unroll(full)
  for (ushort r = 0; r < rows; ++r) {
    // Rows beyond the last repeat it and are not stored.
    const uint index = min(first_row + r, p.H_ratio * p.R - 1);
    row[r].exists = first_row + r < p.H_ratio * p.R;
    row[r].head = kv_head * p.H_ratio + index / p.R;
    row[r].query = index % p.R;
    row[r].scores = make_scores(masks, p.R, C, batch, row[r].head);
    const uint2 own = score_columns(row[r].scores, row[r].query, row[r].query + 1);
    if (own.x < own.y) columns = uint2(min(columns.x, own.x), max(columns.y, own.y));
    const bool sink = sinks_used && group.x == 0;
    row[r].m = sink ? max(buffers.sinks[row[r].head] * log2_e, nothing) : nothing;
    row[r].l = sink && row[r].m > nothing ? 1.0f : 0.0f;
    const ulong start = batch * p.Q.batch + row[r].head * p.Q.head + row[r].query * p.Q.leading;
#pragma clang loop unroll(full)
    for (ushort i = 0; i < D_chunks; ++i) {
      const uint column = decode_column(i, lane);
      float q = 0.0f;
      if (column < decode_D) q = addend_value(buffers.Q, data_type, start + column * p.Q_column);
      Q[r * D_chunks + i] = q;
    }
#pragma clang loop unroll(full)
    for (ushort i = 0; i < D_V_chunks; ++i) O[r * D_V_chunks + i] = 0.0f;
  }

  // The splits share whole blocks of 32 keys.
  const uint first_block = columns.x / 32;
  const uint blocks = columns.x < columns.y ? (columns.y + 31) / 32 - first_block : 0;
  const uint share = (blocks + p.splits - 1) / p.splits;
  const uint begin = first_block + min(blocks, group.x * share);
  const uint end = first_block + min(blocks, (group.x + 1) * share);
  // As far as the last split's last key: keys beyond C have no weight and are not read.
  const uint last = min(end * 32, C);
  for (uint first = begin * 32; first < last; first += MFA_DECODE_BLOCK) {
    const uint keys = min(uint(MFA_DECODE_BLOCK), last - first);
    float top[MFA_MAX_DECODE_ROWS], sum[MFA_MAX_DECODE_ROWS];  // of the lane's keys
#pragma clang loop unroll(full)
    for (ushort r = 0; r < rows; ++r) top[r] = row[r].m;
#pragma clang loop unroll(disable)
    for (uint part = 0; part < keys; part += 32) {
      float s[MFA_MAX_DECODE_ROWS];
#pragma clang loop unroll(full)
      for (ushort r = 0; r < rows; ++r) s[r] = 0.0f;
      const uint count = min(32u, keys - part);
#pragma clang loop unroll(disable)
      for (uint key = 0; key < count; ++key) {
        const decode_place at = place_key(K, table, p.pages, first + part + key);
        float k[MFA_MAX_DECODE_CHUNKS];
        decode_load(K, at.data, at.scale, decode_D, D_chunks, lane, k);
#pragma clang loop unroll(full)
        for (ushort r = 0; r < rows; ++r) {
          float product = 0.0f;
#pragma clang loop unroll(full)
          for (ushort i = 0; i < D_chunks; ++i) {
            product = fma(Q[r * D_chunks + i], k[i], product);
          }
          product = simd_sum(product);
          s[r] = uint(lane) == key ? product : s[r];
        }
      }
#pragma clang loop unroll(full)
      for (ushort r = 0; r < rows; ++r) {
        const uint query = row[r].query, column = first + part;
        const bool edge = score_bounded(row[r].scores, query, query + 1, column, column + 32);
        const float logit = score_logit(row[r].scores, s[r], query, column + lane, true, edge);
        weights[r * MFA_DECODE_BLOCK + part + lane] = logit;
        top[r] = max(top[r], logit);
      }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
#pragma clang loop unroll(full)
    for (ushort r = 0; r < rows; ++r) {
      const float m = simd_max(top[r]);
      const float base = m <= nothing ? 0.0f : m;
      sum[r] = 0.0f;
      for (uint part = 0; part < keys; part += 32) {
        const ulong at = r * MFA_DECODE_BLOCK + part + lane;
        const float weight = fast::exp2(weights[at] - base);
        weights[at] = weight;
        sum[r] += weight;
      }
      const float correction = fast::exp2(row[r].m - base);
      row[r].l = fma(row[r].l, correction, simd_sum(sum[r]));
      row[r].m = m;
#pragma clang loop unroll(full)
      for (ushort i = 0; i < D_V_chunks; ++i) O[r * D_V_chunks + i] *= correction;
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
#pragma clang loop unroll(disable)
    for (uint key = 0; key < keys; ++key) {
      const decode_place at = place_key(V, table, p.pages, first + key);
      float v[MFA_MAX_DECODE_CHUNKS];
      decode_load(V, at.data, at.scale, decode_D_V, D_V_chunks, lane, v);
#pragma clang loop unroll(full)
      for (ushort r = 0; r < rows; ++r) {
        const float weight = weights[r * MFA_DECODE_BLOCK + key];
#pragma clang loop unroll(full)
        for (ushort i = 0; i < D_V_chunks; ++i) {
          O[r * D_V_chunks + i] = fma(weight, v[i], O[r * D_V_chunks + i]);
        }
      }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }

#pragma clang loop unroll(full)
  for (ushort r = 0; r < rows; ++r) {
    if (row[r].exists) {
      const float factor = row[r].l == 0.0f ? 0.0f : 1.0f / row[r].l;
      const float sum = row[r].l == 0.0f ? nothing : row[r].m + precise::log2(row[r].l);
      const ulong start = batch * p.O.batch + row[r].head * p.O.head + row[r].query * p.O.leading;
      // A part is D_V + 1 floats, the last one its log-sum-exp in log2 units.
      const ulong part =
          (((batch * ulong(p.H) + row[r].head) * p.R + row[r].query) * p.splits + group.x) *
          (decode_D_V + 1);
#pragma clang loop unroll(full)
      for (ushort i = 0; i < D_V_chunks; ++i) {
        const uint column = decode_column(i, lane);
        const float value = O[r * D_V_chunks + i] * factor;
        if (column < decode_D_V) {
          if (split) {
            buffers.partials[part + column] = value;
          } else {
            decode_store(buffers.O, start + column * p.O_column, value);
          }
        }
      }
      if (split && lane == 0) buffers.partials[part + decode_D_V] = sum;
      if (decode_lse && lane == 0) {
        buffers.lse[batch * p.lse_batch + row[r].head * p.lse_head + row[r].query] =
            row[r].l == 0.0f ? as_type<float>(0xff800000u) : sum * ln_2;
      }
    }
  }
}
