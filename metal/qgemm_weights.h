// SPDX-License-Identifier: MIT
// Packed numbers of 1 to 8 bits, with scales or palettes -> weights as float.
#pragma once

#include <metal_stdlib>

#include "gemm.h"
#include "shared.h"

using namespace metal;

constant uint given_input_type [[function_constant(MFA_CONSTANT_DATA_TYPE)]];
constant uint given_output_type [[function_constant(MFA_CONSTANT_OUTPUT_TYPE)]];
constant uint given_weight_type [[function_constant(MFA_CONSTANT_WEIGHT_TYPE)]];
constant uint given_quantization [[function_constant(MFA_CONSTANT_QUANTIZATION)]];
constant uint given_bits [[function_constant(MFA_CONSTANT_BITS)]];
constant uint given_group_size [[function_constant(MFA_CONSTANT_GROUP_SIZE)]];
constant uint given_palette_axis [[function_constant(MFA_CONSTANT_PALETTE_AXIS)]];
constant bool given_msb_first [[function_constant(MFA_CONSTANT_MSB_FIRST)]];
constant bool given_byte_rows [[function_constant(MFA_CONSTANT_BYTE_ROWS)]];
constant bool given_lookup [[function_constant(MFA_CONSTANT_LOOKUP)]];

constant uint input_type = MFA_OR(given_input_type, MFA_TYPE_HALF);
constant uint output_type = MFA_OR(given_output_type, input_type);
constant uint weight_type = MFA_OR(given_weight_type, input_type);
constant bool palette = MFA_OR(given_quantization, MFA_QUANTIZATION_AFFINE) != 0;
constant uint bits = MFA_OR(given_bits, 4);
constant uint group_size = MFA_OR(given_group_size, palette ? 0 : 64);
constant bool palette_columns = MFA_OR(given_palette_axis, 0) == 1;
constant bool msb_first = MFA_OR(given_msb_first, false);
constant bool byte_rows = MFA_OR(given_byte_rows, false);

constant uint entries = 1u << bits;         // of a palette
constant uint parts = (entries + 31) / 32;  // of a palette that lies in the lanes
// A palette for every column, or nearly: lanes look up in different ones.
constant bool mixed_palettes = palette && palette_columns && group_size % 32 != 0;
constant bool has_zero_points = !palette;
// A CPU that picks from registers does so faster than it turns numbers into floats.
constant bool looked_up = !palette && bits <= 5 && MFA_OR(given_lookup, false);
constant bool known_format =
    bits >= 1 && bits <= 8 && (palette || (group_size >= 32 && group_size % 32 == 0));

/// Element `index` of an array whose element type is a function constant.
inline float value_at(const device uchar* array, ulong index, uint type) {
  if (type == MFA_TYPE_FLOAT) return reinterpret_cast<const device float*>(array)[index];
  if (type == MFA_TYPE_HALF) return reinterpret_cast<const device half*>(array)[index];
  return reinterpret_cast<const device bfloat*>(array)[index];
}

/// `array` moved by `count` elements.
inline const device uchar* moved(const device uchar* array, ulong count, uint type) {
  return array + count * (type == MFA_TYPE_FLOAT ? 4 : 2);
}

/// Where a matrix of weights lies.
struct weight_matrix {
  const device uchar *packed, *scales, *zero_points;
  ulong first;  // which number of `packed` is weight (0, 0)
  ulong ld, ld_scales;
};

/// The number of `bits` bits that begins `bit` bits behind the run's first byte. It reaches over at
/// most two bytes; where it lies in one, both reads are of that one.
inline uint number_at(const device uchar* run, uint bit) {
  const uint first = run[bit >> 3], shift = bit & 7, mask = entries - 1;
  if (8 % bits == 0) return (first >> (msb_first ? 8 - bits - shift : shift)) & mask;
  const uint last = run[(bit + bits - 1) >> 3];
  if (msb_first) return ((first << 8 | last) >> (16 - bits - shift)) & mask;
  return ((first | last << 8) >> shift) & mask;
}

/// The part of a palette that each lane keeps: entries lane, lane + 32, ... A lookup is a shuffle.
struct palette_lanes {
  float part[8];
};

inline palette_lanes load_palette(weight_matrix B, uint row, uint column, ulong lane) {
  const uint which = group_size == 0 ? 0 : (palette_columns ? column : row) / group_size;
  const device uchar* table = moved(B.scales, ulong(which) * entries, weight_type);
  palette_lanes result = {};
#pragma clang loop unroll(full)
  for (uint i = 0; i < parts; ++i) {
    result.part[i] = value_at(moved(table, i * 32, weight_type),
                              entries < 32 ? lane & (entries - 1) : lane, weight_type);
  }
  return result;
}

inline float look_up(palette_lanes table, uint number) {
  float result = simd_shuffle(table.part[0], number & 31);
#pragma clang loop unroll(full)
  for (uint i = 1; i < parts; ++i) {
    const float other = simd_shuffle(table.part[i], number & 31);
    result = number >> 5 == i ? other : result;
  }
  return result;
}

/// What lanes share to decode weights of one group: a scale and a zero point, or a palette, which
/// may be that of all numbers with the scale and zero point.
struct weight_group {
  float scale, zero;
  palette_lanes table;
};

/// The group of the run that begins at (row, column); all lanes' weights of a run belong to it.
inline weight_group load_group(weight_matrix B, uint row, uint column, ulong lane) {
  weight_group result = {};
  if (palette) {
    if (!mixed_palettes) result.table = load_palette(B, row, column, lane);
  } else {
    const ulong index = row * B.ld_scales + column / group_size;
    result.scale = value_at(B.scales, index, weight_type);
    result.zero = value_at(B.zero_points, index, weight_type);
    if (looked_up) {
      result.table.part[0] = fma(float(lane & (entries - 1)), result.scale, result.zero);
    }
  }
  return result;
}

/// Weight (row, column + lane) of the stored matrix, with `column` a multiple of 32; 0 for lanes
/// that are not `inside`. All lanes of the simdgroup call it.
inline float weight_at(weight_matrix B, weight_group group, uint row, uint column, ulong lane,
                       bool inside) {
  const ulong bit = (B.first + row * B.ld + column) * bits;
  uint number = 0;
  if (byte_rows) {
    const device uchar* run = B.packed + (bit >> 3);
    if (inside) number = number_at(run, uint(lane) * bits);
  } else {
    const ulong first = bit + lane * bits;
    if (inside) number = number_at(B.packed + (first >> 3), uint(first & 7));
  }
  float weight;
  if (mixed_palettes) {
    const ulong which = (column + lane) / group_size;
    weight = value_at(B.scales, inside ? which * entries + number : 0, weight_type);
  } else if (palette || looked_up) {
    weight = look_up(group.table, number);
  } else {
    weight = fma(float(number), group.scale, group.zero);
  }
  return inside ? weight : 0.0f;
}
