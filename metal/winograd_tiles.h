// SPDX-License-Identifier: MIT
// Winograd's three steps for M_simd tiles at a time: data, U -> output.
//
//   V = transform(data of the tiles)
//   for blocks of N_simd filters:
//     M = V * U, 25 times
//     output = transform(M)
//
// V and M stay in threadgroup memory, which on a CPU is the cache of its own: where U is small,
// writing and reading V and M elsewhere takes longer than multiplying them.
#pragma once

#include "winograd.h"

/// M = V * U of one plane, M_simd x N_simd elements over C channels, a multiple of K_simd.
inline void multiply_plane(const threadgroup float* V, ulong V_leading, const device float* U,
                           ulong U_leading, threadgroup float* M, uint C) {
  simdgroup_float8x8 accumulators[MFA_MAX_GEMM_MATRICES];
  clear_accumulators(accumulators);
  for (uint c = 0; c < C; c += K_simd) {
    multiply_channels(accumulators, V, V_leading, U, U_leading);
    V += K_simd;
    U += K_simd * U_leading;
  }
  store_sums(accumulators, M, N_simd);
}

/// Threadgroup x: M_simd tiles, all filters of the block. Rows of tiles that do not exist are
/// multiplied and mean nothing.
template <typename T>
inline void convolve_tiles(const thread convolution_buffers& buffers,
                           constant mfa_winograd_parameters& p, threadgroup uchar* memory,
                           uint3 group, mfa_place place) {
  const uint first = group.x * M_simd;
  const uint tiles = min(uint(M_simd), p.tiles - first);
  const ulong leading = (p.C + MFA_SIMDGROUP_SIZE - 1) / MFA_SIMDGROUP_SIZE * MFA_SIMDGROUP_SIZE;
  const ulong V_plane = M_simd * leading + MFA_WINOGRAD_PLANE_PADDING;
  const ulong M_plane = M_simd * N_simd + MFA_WINOGRAD_PLANE_PADDING;
  const device T* data = reinterpret_cast<const device T*>(buffers.data) + p.first_channel;
  const device float* U = reinterpret_cast<const device float*>(buffers.weights);
  threadgroup float* V = reinterpret_cast<threadgroup float*>(memory);
  threadgroup float* M = V + MFA_WINOGRAD_PLANES * V_plane;

  for (uint tile = place.simdgroup; tile < tiles; tile += place.simdgroups) {
    transform_channels(p, data, find_tile(p, first + tile), V + tile * leading, V_plane, leading, 0,
                       place.lane);
  }
  threadgroup_written();
  for (uint k = 0; k < p.filters; k += N_simd) {
    for (uint plane = place.simdgroup; plane < MFA_WINOGRAD_PLANES; plane += place.simdgroups) {
      multiply_plane(V + plane * V_plane, leading, U + plane * p.plane + k, p.leading,
                     M + plane * M_plane, p.C);
    }
    threadgroup_written();
    for (uint tile = place.simdgroup; tile < tiles; tile += place.simdgroups) {
      transform_filters<T>(buffers, p, M + tile * N_simd, M_plane, find_tile(p, first + tile),
                           p.first_filter + k, min(uint(N_simd), p.filters - k), place.lane);
    }
    threadgroup_written();
  }
}
