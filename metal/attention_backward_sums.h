// SPDX-License-Identifier: MIT
// D = rowsum(dO * O), a number per row, for the passes that follow.
#pragma once

#include "attention_backward.h"

/// A threadgroup has MFA_BACKWARD_SUMS_ROWS rows.
template <typename T, typename E>
inline void backward_row_sums(const thread backward_block<T, E>& block, mfa_place place) {
  const thread attention_block<T>& f = block.forward;
  const device E* values = reinterpret_cast<const device E*>(f.O.data);
  const uint rows = min(uint(MFA_BACKWARD_SUMS_ROWS), f.R - f.r);
  if (O_rows && dO_rows) {
    for (uint r = place.simdgroup; r < rows; r += place.simdgroups) {
      const device E* O = values + (f.r + r) * f.O.leading;
      const device E* dO = block.dO.data + (f.r + r) * block.dO.leading;
      float sum = 0.0f;
      for (uint d = 0; d < f.D_V; d += MFA_SIMDGROUP_SIZE) {
        const ulong column = d + place.lane;
        if (column < f.D_V) sum = fma(float(O[column]), float(dO[column]), sum);
      }
      sum = simd_sum(sum);
      if (place.lane == 0) block.sums[f.r + r] = sum;
    }
    return;
  }
  const ulong O_row = O_rows ? f.O.leading : 1, O_column = O_rows ? 1 : f.O.leading;
  const ulong dO_row = dO_rows ? block.dO.leading : 1, dO_column = dO_rows ? 1 : block.dO.leading;
  for (uint first = place.simdgroup * MFA_SIMDGROUP_SIZE; first < rows;
       first += place.simdgroups * MFA_SIMDGROUP_SIZE) {
    const ulong r = first + place.lane;
    if (r < rows) {
      const device E* O = values + f.r * O_row + r * O_row;
      const device E* dO = block.dO.data + f.r * dO_row + r * dO_row;
      float sum = 0.0f;
      for (uint d = 0; d < f.D_V; ++d) {
        sum = fma(float(O[d * O_column]), float(dO[d * dO_column]), sum);
      }
      block.sums[f.r + r] = sum;
    }
  }
}
