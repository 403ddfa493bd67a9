// SPDX-License-Identifier: MIT
// Blocks of stored matrices -> zero-padded tiles in threadgroup memory, by all simdgroups together.
#pragma once

#include <metal_simdgroup_matrix>
#include <metal_stdlib>

#include "shared.h"

using namespace metal;

/// A thread's place in its threadgroup. Uniform but for `lane`, which has the width of addresses:
/// converted once, at the start, it stays recognisable in every index.
struct mfa_place {
  ushort simdgroup, simdgroups;
  ulong lane;
};

/// A tile in threadgroup memory: `rows` x `columns` elements, `leading` from row to row.
template <typename E>
struct mfa_tile {
  threadgroup E* data;
  ushort rows, columns, leading;
};

/// tile[r][c] = source[r][c] where r < rows and c < columns, else 0. Lanes run along stored rows;
/// only tiles that reach over the edge pay for guards.
template <typename T, typename E>
inline void load_tile(const device T* source, ulong leading, uint rows, uint columns,
                      mfa_tile<E> tile, mfa_place place) {
  const bool interior = rows >= tile.rows && columns >= tile.columns;
  if (interior) {
    for (ushort r = place.simdgroup; r < tile.rows; r += place.simdgroups) {
      const device T* from = source + r * leading;
      threadgroup E* to = tile.data + uint(r) * tile.leading;
#pragma clang loop unroll(full)
      for (ushort c = 0; c < tile.columns; c += MFA_SIMDGROUP_SIZE) {
        const ulong column = c + place.lane;
        if (c + MFA_SIMDGROUP_SIZE <= tile.columns || column < tile.columns) {
          to[column] = E(from[column]);
        }
      }
    }
  } else {
    for (ushort r = place.simdgroup; r < tile.rows; r += place.simdgroups) {
      const device T* from = source + r * leading;
      threadgroup E* to = tile.data + uint(r) * tile.leading;
      const uint readable = r < rows ? columns : 0;
      for (ushort c = 0; c < tile.columns; c += MFA_SIMDGROUP_SIZE) {
        const ulong column = c + place.lane;
        E value = E(0);
        if (column < readable) value = E(from[column]);
        if (column < tile.columns) to[column] = value;
      }
    }
  }
}

/// to[c][r] = from[r][c], `rows` x `columns` elements, both multiples of 8, in threadgroup memory.
inline void transpose_tile(const threadgroup float* from, ushort from_leading,
                           threadgroup float* to, ushort to_leading, ushort rows, ushort columns,
                           mfa_place place) {
  for (ushort r = place.simdgroup * 8; r < rows; r += place.simdgroups * 8) {
    for (ushort c = 0; c < columns; c += 8) {
      simdgroup_float8x8 block;
      simdgroup_load(block, from + uint(r) * from_leading + c, from_leading, ulong2(0), true);
      simdgroup_store(block, to + uint(c) * to_leading + r, to_leading);
    }
  }
}

/// Row and first column of the two elements a lane holds of an 8x8 simdgroup matrix.
inline ushort2 matrix_place(ushort lane) {
  const ushort quad = lane / 4;
  const ushort row = (quad & 4) + (lane / 2) % 4;
  const ushort column = (quad & 2) * 2 + (lane % 2) * 2;
  return ushort2(row, column);
}
