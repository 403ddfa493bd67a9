// SPDX-License-Identifier: MIT
// Convolution as a matrix product whose A exists only tile by tile: a row is an output pixel, a
// column is a position of the window and a channel.
//
//   for blocks k of (window position, channel):
//     A tile[r][k] = data[pixel of row r + position of k][channel of k], 0 outside the image
//     B tile[n][k] = weights[n][k]
//     C += A tile * B tile^T
//   output[pixel of row r][n] = activation(C[r][n] + bias[n])
//
// Columns come in segments that lie contiguously in data and weights: the channels of one position,
// or, with WINDOW_ROWS, those of a whole row of the window.
#pragma once

#include "convolution.h"

/// One row of A.
struct convolution_row {
  long data;    // element of the first tap, first channel; may lie outside the image
  long result;  // element of the first channel
  int x, y, z;  // input coordinates of the first tap
  int unused;
};
static_assert(sizeof(convolution_row) == MFA_CONVOLUTION_ROW_BYTES, "the host counts these bytes");

/// What a threadgroup has to do. Uniform.
template <typename T>
struct convolution_block {
  const device T *data, *weights, *bias;
  device T* result;
  constant mfa_convolution_parameters* parameters;
  const threadgroup convolution_row* rows;
  uint3 taps;
  weight_matrix palettized;
  uint channel;           // the first output channel
  uint segment;           // elements
  uint row_count, width;  // of C that exist
};

/// A place in the columns of A.
struct convolution_walk {
  uint x, y, z;  // tap
  uint at;       // element of the segment
};

inline void fill_rows(threadgroup convolution_row* rows, constant mfa_convolution_parameters& p,
                      uint first, uint count, mfa_place place) {
  const uint threads = place.simdgroups * MFA_SIMDGROUP_SIZE;
  for (uint r = place.simdgroup * MFA_SIMDGROUP_SIZE + uint(place.lane); r < M_group;
       r += threads) {
    convolution_row row;
    row.data = row.result = 0;
    row.x = row.y = row.z = 0x40000000;  // outside of every image, whatever the tap
    row.unused = 0;
    if (r < count) {
      const uint4 at = place_of_output(p, first + r);
      row.x = p.first[2] + int(at.x) * p.step[2];
      row.data = long(at.w * p.input_image) + long(row.x) * long(p.input_stride[2]);
      row.result = long(p.output_first + at.w * p.output_image + at.x * p.output_stride[2]);
      row.y = row.z = 0;
      if (dimensions > 1) {
        row.y = p.first[1] + int(at.y) * p.step[1];
        row.data += long(row.y) * long(p.input_stride[1]);
        row.result += long(at.y * p.output_stride[1]);
      }
      if (dimensions > 2) {
        row.z = p.first[0] + int(at.z) * p.step[0];
        row.data += long(row.z) * long(p.input_stride[0]);
        row.result += long(at.z * p.output_stride[0]);
      }
    }
    rows[r] = row;
  }
}

/// to[j] = from[j] for j in [low, high), 0 elsewhere in [0, length). Lanes run along.
template <typename T, typename E>
inline void copy_piece(const device T* from, threadgroup E* to, ushort length, int low, int high,
                       ulong lane) {
  if (low <= 0 && high >= length) {
    const ushort whole = length / MFA_SIMDGROUP_SIZE * MFA_SIMDGROUP_SIZE;
    for (ushort c = 0; c < whole; c += MFA_SIMDGROUP_SIZE) to[c + lane] = E(from[c + lane]);
    if (whole != length && whole + lane < length) to[whole + lane] = E(from[whole + lane]);
    return;
  }
  for (ushort c = 0; c < length; c += MFA_SIMDGROUP_SIZE) {
    const int j = c + int(lane);
    E value = E(0);
    if (j >= low && j < high) value = E(from[c + lane]);
    if (j < length) to[c + lane] = value;
  }
}

template <typename E>
inline void clear_piece(mfa_tile<E> tile, ushort first, mfa_place place) {
  for (ushort r = place.simdgroup; r < tile.rows; r += place.simdgroups) {
    threadgroup E* to = tile.data + uint(r) * tile.leading;
    for (ushort c = first; c < tile.columns; c += MFA_SIMDGROUP_SIZE) {
      if (c + place.lane < tile.columns) to[c + place.lane] = E(0);
    }
  }
}

/// Columns [first, first + length) of A's tile from one segment.
template <typename T, typename E>
inline void fill_data(const thread convolution_block<T>& block, convolution_walk walk,
                      mfa_tile<E> tile, ushort first, ushort length, mfa_place place) {
  constant mfa_convolution_parameters& p = *block.parameters;
  const int dx = int(walk.x) * p.tap_step[2], dy = int(walk.y) * p.tap_step[1],
            dz = int(walk.z) * p.tap_step[0];
  long offset = long(dx) * long(p.input_stride[2]) + walk.at;
  if (dimensions > 1) offset += long(dy) * long(p.input_stride[1]);
  if (dimensions > 2) offset += long(dz) * long(p.input_stride[0]);
  const device T* data = block.data + offset;
  for (ushort r = place.simdgroup; r < tile.rows; r += place.simdgroups) {
    const threadgroup convolution_row& row = block.rows[r];
    const int x = row.x + dx;
    bool inside = true;
    if (dimensions > 1) inside = inside && uint(row.y + dy) < p.input[1];
    if (dimensions > 2) inside = inside && uint(row.z + dz) < p.input[0];
    int low = 0, high = length;
    if (window_rows) {
      // Element 0 of the piece is so many elements from the image's left edge.
      const long left = long(x) * p.C + walk.at;
      low = int(clamp(-left, long(0), long(length)));
      high = int(clamp(long(p.input[2]) * p.C - left, long(0), long(length)));
    } else {
      inside = inside && uint(x) < p.input[2];
    }
    if (!inside) high = 0;
    copy_piece(data + row.data, tile.data + uint(r) * tile.leading + first, length, low, high,
               place.lane);
  }
}

/// Columns of B's tile from palettized weights: what is from `column` on of every row.
template <typename T, typename E>
inline void fill_palettized(const thread convolution_block<T>& block, uint column, mfa_tile<E> tile,
                            ushort first, ushort length, mfa_place place) {
#pragma clang loop unroll(disable)
  for (ushort n = place.simdgroup; n < tile.rows; n += place.simdgroups) {
    threadgroup E* to = tile.data + uint(n) * tile.leading + first;
    const uint row = block.channel + min(uint(n), block.width - 1);
    const weight_group group = load_group(block.palettized, row, column, place.lane);
    for (ushort c = 0; c < length; c += MFA_SIMDGROUP_SIZE) {
      const bool inside = c + place.lane < length;
      const float value = weight_at(block.palettized, group, row, column + c, place.lane, inside);
      if (inside) to[c + place.lane] = n < block.width ? E(value) : E(0);
    }
  }
}

/// The same columns of B's tile.
template <typename T, typename E>
inline void fill_weights(const thread convolution_block<T>& block, convolution_walk walk,
                         mfa_tile<E> tile, ushort first, ushort length, mfa_place place) {
  constant mfa_convolution_parameters& p = *block.parameters;
  uint position = walk.x;
  if (part_of_window) position = p.window_first[2] + walk.x * p.window_step[2];
  if (dimensions > 1) {
    const uint y = part_of_window ? p.window_first[1] + walk.y * p.window_step[1] : walk.y;
    position += y * window_x;
  }
  if (dimensions > 2) {
    const uint z = part_of_window ? p.window_first[0] + walk.z * p.window_step[0] : walk.z;
    position += z * window_y * window_x;
  }
  if (palette) {
    fill_palettized(block, position * p.C + walk.at, tile, first, length, place);
    return;
  }
  const device T* weights = block.weights + ulong(position) * p.C + walk.at;
  const ulong leading = ulong(window_size) * p.C;
  for (ushort n = place.simdgroup; n < tile.rows; n += place.simdgroups) {
    copy_piece(weights + n * leading, tile.data + uint(n) * tile.leading + first, length, 0,
               n < block.width ? length : 0, place.lane);
  }
}

/// Both tiles, and on to the next block of columns.
template <typename T, typename E>
inline void fill_tiles(const thread convolution_block<T>& block, thread convolution_walk& walk,
                       mfa_tile<E> A_tile, mfa_tile<E> B_tile, mfa_place place) {
  for (ushort filled = 0; filled < K_simd;) {
    if (walk.z == block.taps.z) {
      clear_piece(A_tile, filled, place);
      clear_piece(B_tile, filled, place);
      return;
    }
    const ushort length = ushort(min(block.segment - walk.at, uint(K_simd - filled)));
    fill_data(block, walk, A_tile, filled, length, place);
    fill_weights(block, walk, B_tile, filled, length, place);
    filled += length;
    walk.at += length;
    if (walk.at != block.segment) continue;
    walk.at = 0;
    walk.x = window_rows ? block.taps.x : walk.x + 1;
    if (walk.x != block.taps.x) continue;
    walk.x = 0;
    if (++walk.y != block.taps.y) continue;
    walk.y = 0;
    ++walk.z;
  }
}

template <typename T>
inline T finish_output(const thread convolution_block<T>& block, float value, ulong column) {
  if (has_bias) value += float(block.bias[column]);
  return T(activate(value, activation));
}

/// Float block in threadgroup memory -> output, lanes along channels.
template <typename T>
inline void store_outputs(const thread convolution_block<T>& block, const threadgroup float* stage,
                          mfa_place place) {
  const uint rows = min(uint(M_group), block.row_count);
  const uint columns = min(uint(N_group), block.width);
  for (uint r = place.simdgroup; r < rows; r += place.simdgroups) {
    device T* to = block.result + block.rows[r].result;
    const threadgroup float* from = stage + r * N_group;
    for (uint c = 0; c < columns; c += MFA_SIMDGROUP_SIZE) {
      const ulong column = c + place.lane;
      if (column < columns) to[column] = finish_output(block, from[column], column);
    }
  }
}

/// Accumulators -> output straight from registers, two elements per lane and matrix.
template <typename T>
inline void store_outputs(const thread convolution_block<T>& block,
                          thread simdgroup_float8x8* accumulators, ushort2 origin,
                          mfa_place place) {
  const ushort2 lane = matrix_place(ushort(place.lane));
#pragma clang loop unroll(full)
  for (ushort m = 0; m < M_tiles; ++m) {
    const uint row = origin.y + m * 8 + lane.x;
    device T* to = block.result + (row < block.row_count ? block.rows[row].result : 0);
#pragma clang loop unroll(full)
    for (ushort n = 0; n < N_tiles; ++n) {
      const uint column = origin.x + n * 8 + lane.y;
      thread auto& elements = accumulators[m * N_tiles + n].thread_elements();
      if (row < block.row_count && column < block.width) {
        to[column] = finish_output(block, elements[0], column);
      }
      if (row < block.row_count && column + 1 < block.width) {
        to[column + 1] = finish_output(block, elements[1], column + 1);
      }
    }
  }
}

template <typename T>
struct convolution_fill {
  const thread convolution_block<T>& block;
  convolution_walk walk;

  template <typename E>
  void tiles(uint, uint, mfa_tile<E> A_tile, mfa_tile<E> B_tile, mfa_place place) {
    fill_tiles(block, walk, A_tile, B_tile, place);
  }
};

template <typename T, typename E>
inline void convolve_block(const thread convolution_block<T>& block, threadgroup uchar* memory,
                           mfa_place place) {
  const ushort2 origin = part_of_block(place);
  simdgroup_float8x8 accumulators[MFA_MAX_GEMM_MATRICES];
  clear_accumulators(accumulators);
  const uint segments = block.taps.y * block.taps.z * (window_rows ? 1 : block.taps.x);
  const uint depth = segments * block.segment;
  convolution_fill<T> fill = {block, {0, 0, 0, 0}};
  multiply_blocks<E>(accumulators, fill, depth, origin, memory, place);
  if (staged) {
    threadgroup float* stage = reinterpret_cast<threadgroup float*>(memory);
    finish_stage(stage, depth, place);
    store_outputs(block, stage, place);
  } else {
    store_outputs(block, accumulators, origin, place);
  }
}

/// Threadgroup (x, y, z): channels x, pixels y, group z of the convolution.
template <typename T>
inline void convolve_as_gemm(const thread convolution_buffers& buffers, threadgroup uchar* memory,
                             uint3 group, mfa_place place) {
  constant mfa_convolution_parameters& p =
      *reinterpret_cast<constant mfa_convolution_parameters*>(buffers.parameters);
  const uint outputs =
      p.outputs[2] * (dimensions > 1 ? p.outputs[1] : 1) * (dimensions > 2 ? p.outputs[0] : 1);
  const uint M = p.images * outputs;
  const uint m = (p.first_block + group.y) * M_group, n = group.x * N_group;
  if (m >= M || n >= p.K) return;  // the whole threadgroup
  threadgroup convolution_row* rows = reinterpret_cast<threadgroup convolution_row*>(memory);
  fill_rows(rows, p, m, M - m, place);
  threadgroup_barrier(mem_flags::mem_threadgroup);

  convolution_block<T> block;
  const ulong channel = ulong(group.z) * p.K + n;
  block.data = reinterpret_cast<const device T*>(buffers.data) + ulong(group.z) * p.C;
  block.weights = reinterpret_cast<const device T*>(buffers.weights) + channel * window_size * p.C;
  if (palette) block.palettized = palettized_weights(buffers, p.C);
  block.channel = channel;
  block.bias = has_bias ? reinterpret_cast<const device T*>(buffers.bias) + channel : nullptr;
  block.result = reinterpret_cast<device T*>(buffers.result) + channel;
  block.parameters = &p;
  block.rows = rows;
  block.taps = taps_of(p);
  block.segment = window_rows ? window_x * p.C : p.C;
  block.row_count = M - m;
  block.width = p.K - n;
  threadgroup uchar* tiles = memory + uint(M_group) * MFA_CONVOLUTION_ROW_BYTES;
  if (tile_float) {
    convolve_block<T, float>(block, tiles, place);
  } else {
    convolve_block<T, T>(block, tiles, place);
  }
}
