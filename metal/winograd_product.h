// SPDX-License-Identifier: MIT
// Winograd's products with weights that are transformed where they are multiplied: V, weights -> M.
//
//   for blocks c of K_simd channels:
//     g = weights of N_simd filters and channels c, turned over
//     for rows i of U:
//       U = row i of G g G^T: 5 planes
//       for columns j of U, blocks m of M_simd tiles:
//         M[5 i + j][m] += V[c][5 i + j][m] * U[j]
//
// g and U stay in threadgroup memory: with few tiles, U would be most of what the separate steps
// write and read. V's columns come in blocks of K_simd, one behind the other, so that they are read
// in the order they lie in.
#pragma once

#include "winograd.h"

/// Row i of transform_three.
template <ushort i>
inline float transform_three_row(float g0, float g1, float g2) {
  float u[5];
  transform_three(g0, g1, g2, u);
  return u[i];
}

/// Row i of U for all channels and filters of the block, a filter per lane.
template <ushort i>
inline void transform_weights_row(const threadgroup float* turned, threadgroup float* U,
                                  mfa_place place) {
  const uint size = uint(K_simd) * N_simd;
  for (uint c = place.simdgroup; c < K_simd; c += place.simdgroups) {
#pragma clang loop unroll(full)
    for (uint k = 0; k < N_simd; k += MFA_SIMDGROUP_SIZE) {
      const threadgroup float* g = turned + c * N_simd + k + place.lane;
      float row[3], line[5];
#pragma clang loop unroll(full)
      for (ushort j = 0; j < 3; ++j) {
        row[j] = transform_three_row<i>(g[j * size], g[(3 + j) * size], g[(6 + j) * size]);
      }
      transform_three(row[0], row[1], row[2], line);
      threadgroup float* to = U + c * N_simd + k + place.lane;
#pragma clang loop unroll(full)
      for (ushort j = 0; j < 5; ++j) to[j * size] = line[j];
    }
  }
}

inline void transform_weights_row(uint i, const threadgroup float* turned, threadgroup float* U,
                                  mfa_place place) {
  if (i == 0) transform_weights_row<0>(turned, U, place);
  if (i == 1) transform_weights_row<1>(turned, U, place);
  if (i == 2) transform_weights_row<2>(turned, U, place);
  if (i == 3) transform_weights_row<3>(turned, U, place);
  if (i == 4) transform_weights_row<4>(turned, U, place);
}

/// M tile += V tile * U, M_simd x N_simd elements.
inline void add_product(const device float* V, const threadgroup float* U, device float* M,
                        ulong leading) {
  simdgroup_float8x8 accumulators[MFA_MAX_GEMM_MATRICES];
#pragma clang loop unroll(full)
  for (ushort m = 0; m < M_tiles; ++m) {
#pragma clang loop unroll(full)
    for (ushort n = 0; n < N_tiles; ++n) {
      simdgroup_load(accumulators[m * N_tiles + n], M + m * 8 * leading + n * 8, leading);
    }
  }
  multiply_channels(accumulators, V, K_simd, U, N_simd);
  store_sums(accumulators, M, leading);
}

/// Threadgroup x: N_simd filters of all tiles of the block; a simdgroup has every so many-th
/// M_simd of them. What is behind the last tile and the last filter is computed and means nothing.
template <typename T>
inline void multiply_transformed(const thread convolution_buffers& buffers,
                                 constant mfa_winograd_parameters& p, threadgroup uchar* memory,
                                 uint3 group, mfa_place place) {
  const uint k = group.x * N_simd;
  const uint tiles = (p.tiles + M_simd - 1) / M_simd * M_simd;
  const uint filters = min(uint(N_simd), p.filters - k);
  const uint step = place.simdgroups * M_simd;
  const ulong V_plane = ulong(tiles) * K_simd;
  threadgroup float* rows = reinterpret_cast<threadgroup float*>(memory);
  threadgroup float* turned = rows + MFA_WINOGRAD_FILTERS * K_simd;
  threadgroup float* U = turned + 9 * uint(K_simd) * N_simd;
  const device float* V = reinterpret_cast<const device float*>(buffers.data);
  device float* M = reinterpret_cast<device float*>(buffers.result) + k;

  for (uint plane = 0; plane < MFA_WINOGRAD_PLANES; ++plane) {
    for (uint m = place.simdgroup * M_simd; m < tiles; m += step) {
      for (uint r = 0; r < M_simd; ++r) {
        device float* to = M + plane * p.plane + (m + r) * p.leading;
        for (uint n = 0; n < N_simd; n += MFA_SIMDGROUP_SIZE) to[n + place.lane] = 0.0f;
      }
    }
  }
  simdgroup_barrier(mem_flags::mem_device);

  for (uint c = 0; c < p.C; c += K_simd) {
    for (uint f = 0; f < filters; f += MFA_WINOGRAD_FILTERS) {
#pragma clang loop unroll(disable)
      for (uint tap = 0; tap < 9; ++tap) {
        lay_weights<T>(buffers, p, k + f, tap * p.C + c, p.C - c, K_simd, rows, place);
        threadgroup_written();
        transpose_tile(rows, K_simd, turned + tap * K_simd * N_simd + f, N_simd,
                       MFA_WINOGRAD_FILTERS, K_simd, place);
        threadgroup_written();
      }
    }
    for (uint i = 0; i < 5; ++i) {
      transform_weights_row(i, turned, U, place);
      threadgroup_written();
      for (uint j = 0; j < 5; ++j) {
        const uint plane = 5 * i + j;
        for (uint m = place.simdgroup * M_simd; m < tiles; m += step) {
          add_product(V + plane * V_plane + m * K_simd, U + j * K_simd * N_simd,
                      M + plane * p.plane + m * p.leading, p.leading);
        }
      }
      threadgroup_written();
    }
    simdgroup_barrier(mem_flags::mem_device);
    V += MFA_WINOGRAD_PLANES * V_plane;
  }
}
