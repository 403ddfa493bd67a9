// SPDX-License-Identifier: MIT
// Winograd's F(3x3, 3x3): the transforms of data, weights and products.
//
//   V = B^T d B      d: 5x5 pixels of the image, every 3 pixels
//   U = G g G^T      g: the 3x3 window
//   Y = A^T M A      M: the sum over channels of V * U, element by element: 25 GEMMs; Y: 3x3
//   outputs
//
// Interpolation (Toom and Cook) at 0, 1, -1, 1/2 and infinity; docs/convolution.md derives the
// matrices. Rows are scaled by powers of two, which rounds nothing and keeps V, U and M near the
// magnitudes of d, g and Y. They are float, whatever the data.
#pragma once

#include "convolution.h"

/// B^T of a column of five.
inline void transform_five(float d0, float d1, float d2, float d3, float d4, thread float* v) {
  const float a = 0.25f * (d0 - d2), b = 0.5f * (d3 - d1);
  v[0] = a + b;
  v[1] = fma(0.5f, d3, 0.25f * (d2 - d1));
  v[2] = fma(0.5f, d3, 0.25f * d1 - 0.75f * d2);
  v[3] = b;
  v[4] = fma(0.5f, d4 - d2, 0.25f * (d1 - d3));
}

/// G of a column of three.
inline void transform_three(float g0, float g1, float g2, thread float* u) {
  const float third = 1.0f / 3.0f;
  u[0] = g0;
  u[1] = 0.5f * (g0 + g1 + g2);
  u[2] = third * (g1 - g0 - g2);
  u[3] = -third * fma(0.5f, g2, fma(2.0f, g0, g1));
  u[4] = g2;
}

/// A^T of a column of five.
inline void transform_back(float m0, float m1, float m2, float m3, float m4, thread float* y) {
  const float sum = 4.0f * m1 + 2.0f * m2;
  y[0] = fma(4.0f, m0, fma(8.0f, m3, sum));
  y[1] = fma(4.0f, m1 + m3, -2.0f * m2);
  y[2] = fma(2.0f, m3 + m4, sum);
}

/// Where a tile lies. Uniform.
struct winograd_tile {
  uint image, y, x;  // of the first output
};

inline winograd_tile find_tile(constant mfa_winograd_parameters& p, uint tile) {
  const uint number = p.first_tile + tile;
  const uint row = number / p.tiles_x;
  winograd_tile found;
  found.x = number % p.tiles_x * MFA_WINOGRAD_OUTPUT;
  found.y = row % p.tiles_y * MFA_WINOGRAD_OUTPUT;
  found.image = row / p.tiles_y;
  return found;
}

/// One tile of one channel per lane. `guarded`: some pixels or lanes do not exist; they are zeros.
template <typename T, typename Result>
inline void transform_data_tile(constant mfa_winograd_parameters& p, const device T* from,
                                Result to, ulong plane, int y, int x, bool active, bool guarded,
                                ulong lane) {
  const ulong row = p.width * p.pixel;
  float d[5][5];
#pragma clang loop unroll(full)
  for (int i = 0; i < 5; ++i) {
#pragma clang loop unroll(full)
    for (int j = 0; j < 5; ++j) {
      const device T* pixel = from + ulong(i) * row + ulong(j) * p.pixel;
      if (guarded) {
        d[i][j] = 0.0f;
        if (uint(y + i) < p.height && uint(x + j) < p.width) {
          if (active) d[i][j] = float(pixel[lane]);
        }
      } else {
        d[i][j] = float(pixel[lane]);
      }
    }
  }
  float v[5][5];  // [column][row]
#pragma clang loop unroll(full)
  for (int j = 0; j < 5; ++j) transform_five(d[0][j], d[1][j], d[2][j], d[3][j], d[4][j], v[j]);
#pragma clang loop unroll(full)
  for (int i = 0; i < 5; ++i) {
    float line[5];
    transform_five(v[0][i], v[1][i], v[2][i], v[3][i], v[4][i], line);
#pragma clang loop unroll(full)
    for (int j = 0; j < 5; ++j) to[ulong(i * 5 + j) * plane + lane] = line[j];
  }
}

/// All channels of a tile. V's columns come in blocks of `leading`, `block` elements apart; what
/// the last one has too many is zero.
template <typename T, typename Result>
inline void transform_channels(constant mfa_winograd_parameters& p, const device T* data,
                               winograd_tile at, Result to, ulong plane, ulong leading, ulong block,
                               ulong lane) {
  const int y = int(at.y) - p.padding_y, x = int(at.x) - p.padding_x;
  const bool interior = y >= 0 && x >= 0 && uint(y) + 5 <= p.height && uint(x) + 5 <= p.width;
  const long pixel = (long(at.image) * p.height + y) * long(p.width) + x;
  const device T* from = data + pixel * long(p.pixel);
  for (uint c = 0, column = 0; c < p.C || column != 0; c += MFA_SIMDGROUP_SIZE) {
    if (interior && c + MFA_SIMDGROUP_SIZE <= p.C) {
      transform_data_tile(p, from + c, to + column, plane, y, x, true, false, lane);
    } else {
      transform_data_tile(p, from + c, to + column, plane, y, x, c + lane < p.C, true, lane);
    }
    column += MFA_SIMDGROUP_SIZE;
    if (column == leading) {
      column = 0;
      to += block;
    }
  }
}

/// Threadgroup x: MFA_WINOGRAD_TILES tiles, all channels.
template <typename T>
inline void transform_data(const thread convolution_buffers& buffers,
                           constant mfa_winograd_parameters& p, uint3 group, mfa_place place) {
  const uint first = group.x * MFA_WINOGRAD_TILES;
  const uint last = min(first + MFA_WINOGRAD_TILES, p.tiles);
  const device T* data = reinterpret_cast<const device T*>(buffers.data) + p.first_channel;
  device float* result = reinterpret_cast<device float*>(buffers.result);
  for (uint tile = first + place.simdgroup; tile < last; tile += place.simdgroups) {
    transform_channels(p, data, find_tile(p, tile), result + tile * p.leading, p.plane, p.leading,
                       p.block, place.lane);
  }
}

/// What the simdgroups of a threadgroup wrote, all of them may read.
inline void threadgroup_written() {
  if (simdgroups == 1) {
    simdgroup_barrier(mem_flags::mem_threadgroup);
  } else {
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
}

/// One tap of MFA_WINOGRAD_FILTERS filters, `width` channels in a row, of which `channels` exist;
/// `column` is the first one's place among the weights of a filter. Filters that do not exist
/// repeat the last one, channels that do not exist are zeros.
template <typename T>
inline void lay_weights(const thread convolution_buffers& buffers,
                        constant mfa_winograd_parameters& p, uint k, uint column, uint channels,
                        uint width, threadgroup float* rows, mfa_place place) {
  const uint filters = p.filters - k, first = uint(p.first_filter) + k;
  const uint whole = channels / MFA_SIMDGROUP_SIZE * MFA_SIMDGROUP_SIZE;
  if (palette) {
    const weight_matrix stored = palettized_weights(buffers, p.C);
    weight_group group = load_group(stored, first, column, place.lane);
#pragma clang loop unroll(disable)
    for (uint r = place.simdgroup; r < MFA_WINOGRAD_FILTERS; r += place.simdgroups) {
      const uint row = first + min(r, filters - 1);
      threadgroup float* to = rows + r * width;
      if (group_size != 0) group = load_group(stored, row, column, place.lane);
      for (uint c = 0; c < width; c += MFA_SIMDGROUP_SIZE) {
        if (c < whole) {
          to[c + place.lane] = weight_at(stored, group, row, column + c, place.lane, true);
        } else {
          to[c + place.lane] =
              weight_at(stored, group, row, column + c, place.lane, c + place.lane < channels);
        }
      }
    }
    return;
  }
  const device T* weights =
      reinterpret_cast<const device T*>(buffers.weights) + ulong(first) * 9 * p.C + column;
  for (uint r = place.simdgroup; r < MFA_WINOGRAD_FILTERS; r += place.simdgroups) {
    const device T* from = weights + ulong(min(r, filters - 1)) * 9 * p.C;
    threadgroup float* to = rows + r * width;
    for (uint c = 0; c < width; c += MFA_SIMDGROUP_SIZE) {
      if (c < whole) {
        to[c + place.lane] = float(from[c + place.lane]);
      } else {
        float value = 0.0f;
        if (c + place.lane < channels) value = float(from[c + place.lane]);
        to[c + place.lane] = value;
      }
    }
  }
}

/// Threadgroup (x, y): MFA_WINOGRAD_FILTERS filters x, K_simd channels y. U's columns are filters
/// but stored weights lie along channels: they are turned over 8x8 at a time. Then a lane
/// transforms a filter's window of one channel after another.
template <typename T>
inline void transform_weights(const thread convolution_buffers& buffers,
                              constant mfa_winograd_parameters& p, threadgroup uchar* memory,
                              uint3 group, mfa_place place) {
  const uint k = group.x * MFA_WINOGRAD_FILTERS, c = group.y * K_simd;
  const uint tap_size = uint(K_simd) * MFA_WINOGRAD_FILTERS;
  const uint width = max(uint(K_simd), uint(MFA_SIMDGROUP_SIZE));
  threadgroup float* rows = reinterpret_cast<threadgroup float*>(memory);
  threadgroup float* turned = rows + MFA_WINOGRAD_FILTERS * width;
#pragma clang loop unroll(disable)
  for (uint tap = 0; tap < 9; ++tap) {
    lay_weights<T>(buffers, p, k, tap * p.C + c, p.C - c, width, rows, place);
    threadgroup_written();
    transpose_tile(rows, width, turned + tap * tap_size, MFA_WINOGRAD_FILTERS, MFA_WINOGRAD_FILTERS,
                   K_simd, place);
    threadgroup_written();
  }

  const uint last = min(uint(K_simd), p.C - c);
  device float* result = reinterpret_cast<device float*>(buffers.result) + c * p.leading + k;
  for (uint r = place.simdgroup; r < last; r += place.simdgroups) {
    const threadgroup float* g = turned + r * MFA_WINOGRAD_FILTERS + place.lane;
    float columns[3][5];
#pragma clang loop unroll(full)
    for (ushort j = 0; j < 3; ++j) {
      transform_three(g[j * tap_size], g[(3 + j) * tap_size], g[(6 + j) * tap_size], columns[j]);
    }
    device float* row = result + r * p.leading;
#pragma clang loop unroll(full)
    for (ushort i = 0; i < 5; ++i) {
      float line[5];
      transform_three(columns[0][i], columns[1][i], columns[2][i], line);
#pragma clang loop unroll(full)
      for (ushort j = 0; j < 5; ++j) row[ulong(i * 5 + j) * p.plane + place.lane] = line[j];
    }
  }
}

/// sums += A * B over K_simd channels: M_simd tiles, N_simd filters.
template <typename Left, typename Right>
inline void multiply_channels(thread simdgroup_float8x8* sums, Left A, ulong A_leading, Right B,
                              ulong B_leading) {
#pragma clang loop unroll(full)
  for (ushort k = 0; k < K_simd; k += 8) {
    simdgroup_float8x8 left[MFA_MAX_GEMM_ROWS];
#pragma clang loop unroll(full)
    for (ushort m = 0; m < M_tiles; ++m) {
      simdgroup_load(left[m], A + m * 8 * A_leading + k, A_leading);
    }
#pragma clang loop unroll(full)
    for (ushort n = 0; n < N_tiles; ++n) {
      simdgroup_float8x8 right;
      simdgroup_load(right, B + k * B_leading + n * 8, B_leading);
#pragma clang loop unroll(full)
      for (ushort m = 0; m < M_tiles; ++m) {
        thread simdgroup_float8x8& sum = sums[m * N_tiles + n];
        simdgroup_multiply_accumulate(sum, left[m], right, sum);
      }
    }
  }
}

template <typename Result>
inline void store_sums(thread simdgroup_float8x8* sums, Result to, ulong leading) {
#pragma clang loop unroll(full)
  for (ushort m = 0; m < M_tiles; ++m) {
#pragma clang loop unroll(full)
    for (ushort n = 0; n < N_tiles; ++n) {
      simdgroup_store(sums[m * N_tiles + n], to + m * 8 * leading + n * 8, leading);
    }
  }
}

template <typename T, typename Products>
inline void transform_products_tile(constant mfa_winograd_parameters& p, Products from, ulong plane,
                                    device T* to, winograd_tile at, float bias, bool active,
                                    ulong lane) {
  float y[5][3];  // [column][row]
#pragma clang loop unroll(full)
  for (ushort j = 0; j < 5; ++j) {
    float m[5];
#pragma clang loop unroll(full)
    for (ushort i = 0; i < 5; ++i) {
      m[i] = from[ulong(i * 5 + j) * plane + lane];
    }
    transform_back(m[0], m[1], m[2], m[3], m[4], y[j]);
  }
#pragma clang loop unroll(full)
  for (ushort i = 0; i < 3; ++i) {
    if (at.y + i >= p.outputs_y) break;
    float line[3];
    transform_back(y[0][i], y[1][i], y[2][i], y[3][i], y[4][i], line);
#pragma clang loop unroll(full)
    for (ushort j = 0; j < 3; ++j) {
      if (at.x + j < p.outputs_x) {
        device T* pixel = to + (ulong(i) * p.outputs_x + j) * p.output_pixel;
        if (active) pixel[lane] = T(activate(line[j] + bias, activation));
      }
    }
  }
}

/// A tile of `filters` filters, the first of which is `first` in a pixel of the output.
template <typename T, typename Products>
inline void transform_filters(const thread convolution_buffers& buffers,
                              constant mfa_winograd_parameters& p, Products from, ulong plane,
                              winograd_tile at, ulong first, uint filters, ulong lane) {
  const ulong pixel = (ulong(at.image) * p.outputs_y + at.y) * p.outputs_x + at.x;
  device T* to = reinterpret_cast<device T*>(buffers.result) + pixel * p.output_pixel + first;
  const device T* biases = reinterpret_cast<const device T*>(buffers.bias) + first;
  for (uint k = 0; k < filters; k += MFA_SIMDGROUP_SIZE) {
    const bool active = k + lane < filters;
    float bias = 0.0f;
    if (has_bias && active) bias = float(biases[k + lane]);
    if (k + MFA_SIMDGROUP_SIZE <= filters) {
      transform_products_tile(p, from + k, plane, to + k, at, bias, true, lane);
    } else {
      transform_products_tile(p, from + k, plane, to + k, at, bias, active, lane);
    }
  }
}

/// Threadgroup x: MFA_WINOGRAD_TILES tiles, all filters of the block.
template <typename T>
inline void transform_products(const thread convolution_buffers& buffers,
                               constant mfa_winograd_parameters& p, uint3 group, mfa_place place) {
  const uint first = group.x * MFA_WINOGRAD_TILES;
  const uint last = min(first + MFA_WINOGRAD_TILES, p.tiles);
  const device float* products = reinterpret_cast<const device float*>(buffers.data);
  for (uint tile = first + place.simdgroup; tile < last; tile += place.simdgroups) {
    transform_filters<T>(buffers, p, products + tile * p.leading, p.plane, find_tile(p, tile),
                         p.first_filter, p.filters, place.lane);
  }
}
