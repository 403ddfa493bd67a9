// SPDX-License-Identifier: MIT
// A dense mask -> one summary byte per block of R_group x C_simd elements: skip, dense or masked.
#pragma once

#include "attention.h"
#include "tile.h"

/// Adds one mask element to what is known: bit 0, some element is attended; bit 1, some element
/// changes its score.
inline uint mask_facts(const device uchar* mask, ulong index) {
  if (mask_kind == MFA_MASK_BOOLEAN) return mask[index] != 0 ? 1 : 2;
  const float value = mask_value(mask, index);
  return (mask_excludes(value) ? 0 : 1) | (value == 0.0f ? 0 : 2);
}

/// Threadgroup (x, y) summarises block (row x, column y). `block_mask` is its row of summaries.
inline void summarize_block(attention_operand<const device uchar*> mask, device uchar* block_mask,
                            uint R, uint C, uint row, uint block_column, threadgroup uint* facts,
                            mfa_place place) {
  const uint first = block_column * C_simd;
  const uint last_row = min(R, row + R_group), columns = min(uint(C_simd), C - first);
  uint found = 0;
  for (uint r = row + place.simdgroup; r < last_row; r += place.simdgroups) {
    const ulong start = r * mask.leading + first;
    for (ushort c = 0; c < columns; c += MFA_SIMDGROUP_SIZE) {
      const ulong column = c + place.lane;
      if (column < columns) found |= mask_facts(mask.data, start + column);
    }
  }
  found = simd_or(found);
  if (place.lane == 0) facts[place.simdgroup] = found;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (place.simdgroup == 0 && place.lane == 0) {
    for (ushort i = 1; i < place.simdgroups; ++i) found |= facts[i];
    block_mask[block_column] = (found & 1) == 0   ? MFA_BLOCK_SKIP
                               : (found & 2) == 0 ? MFA_BLOCK_DENSE
                                                  : MFA_BLOCK_MASKED;
  }
}
