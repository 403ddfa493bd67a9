// SPDX-License-Identifier: MIT
// A dense mask -> one summary byte per block of R_group x C_simd elements: skip, dense or masked.
#pragma once

#include "attention.h"
#include "tile.h"

/// Threadgroup (x, y) summarises block (row x, column y) of mask and bias together. `block_mask` is
/// its row of summaries. Bit 0 of what is found: some element is attended; bit 1: some element
/// changes its score.
template <typename T>
inline void summarize_block(const thread attention_block<T>& block, uint block_column,
                            threadgroup uint* facts, mfa_place place) {
  const uint first = block_column * C_simd;
  const uint last_row = min(block.R, block.r + R_group);
  const uint columns = min(uint(C_simd), block.C - first);
  uint found = 0;
  for (uint r = block.r + place.simdgroup; r < last_row; r += place.simdgroups) {
    for (ushort c = 0; c < columns; c += MFA_SIMDGROUP_SIZE) {
      const ulong column = c + place.lane;
      if (column < columns) {
        const float addend = score_addend(block.scores, r, first + column);
        found |= (addend > nothing ? 1 : 0) | (addend == 0.0f ? 0 : 2);
      }
    }
  }
  found = simd_or(found);
  if (place.lane == 0) facts[place.simdgroup] = found;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (place.simdgroup == 0 && place.lane == 0) {
    for (ushort i = 1; i < place.simdgroups; ++i) found |= facts[i];
    block.block_mask[block_column] = (found & 1) == 0   ? MFA_BLOCK_SKIP
                                     : (found & 2) == 0 ? MFA_BLOCK_DENSE
                                                        : MFA_BLOCK_MASKED;
  }
}
