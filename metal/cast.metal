// SPDX-License-Identifier: MIT
// The element-wise conversion between float, half and bfloat; types are function constants.
#include "cast.h"

kernel void cast(const device uchar* input [[buffer(MFA_SLOT_INPUT)]],
                 device uchar* output [[buffer(MFA_SLOT_OUTPUT)]],
                 constant mfa_cast_parameters& parameters [[buffer(MFA_SLOT_PARAMETERS)]],
                 uint3 group [[threadgroup_position_in_grid]],
                 uint thread_index [[thread_index_in_threadgroup]],
                 uint3 size [[threads_per_threadgroup]],
                 ushort simdgroup [[simdgroup_index_in_threadgroup]],
                 ushort lane [[thread_index_in_simdgroup]]) {
  const ulong start = ulong(group.x) * size.x * MFA_CAST_PER_THREAD;
  if (start >= parameters.count) return;
  const ulong left = parameters.count - start;
  const ulong from = group.y * parameters.input_row + start;
  const ulong to = group.y * parameters.output_row + start;
  const cast_thread me = {thread_index, size.x, simdgroup, lane};

  if (input_type == MFA_TYPE_FLOAT) {
    cast_from(reinterpret_cast<const device float*>(input) + from, output, to, left, me);
  } else if (input_type == MFA_TYPE_HALF) {
    cast_from(reinterpret_cast<const device half*>(input) + from, output, to, left, me);
  } else if (input_type == MFA_TYPE_BFLOAT) {
    cast_from(reinterpret_cast<const device bfloat*>(input) + from, output, to, left, me);
  }
}
