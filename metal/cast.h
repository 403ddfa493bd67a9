// SPDX-License-Identifier: MIT
// Rows of one floating-point type -> rows of another, rounded to nearest even.
#pragma once

#include <metal_stdlib>

#include "shared.h"

using namespace metal;

constant uint given_input_type [[function_constant(MFA_CONSTANT_DATA_TYPE)]];
constant uint given_output_type [[function_constant(MFA_CONSTANT_OUTPUT_TYPE)]];

constant uint input_type =
    is_function_constant_defined(given_input_type) ? given_input_type : MFA_TYPE_FLOAT;
constant uint output_type =
    is_function_constant_defined(given_output_type) ? given_output_type : MFA_TYPE_FLOAT;

/// Where a thread is in its threadgroup.
struct cast_thread {
  uint index, count;
  ushort simdgroup, lane;
};

/// The part of a threadgroup, of which `left` elements are there. Simdgroups take neighbouring
/// blocks, lanes neighbouring elements of a block's rows.
/// Indices of 64 bits cannot wrap: every vector is seen to be contiguous.
template <typename From, typename To>
inline void cast_part(const device From* input, device To* output, ulong left, cast_thread me) {
  constexpr uint block = MFA_SIMDGROUP_SIZE * MFA_CAST_PER_THREAD;
  ulong first = ulong(me.simdgroup) * block, end = min(left, first + block);
  uint step = MFA_SIMDGROUP_SIZE;
  if (me.count % MFA_SIMDGROUP_SIZE != 0) {  // a block would lack threads
    first = me.index - me.lane;
    end = min(left, ulong(me.count) * MFA_CAST_PER_THREAD);
    step = me.count;
  } else if (end == first + block) {
#pragma clang loop unroll(full)
    for (ulong i = 0; i < block; i += MFA_SIMDGROUP_SIZE) {
      output[first + i + me.lane] = To(float(input[first + i + me.lane]));
    }
    return;
  }
  for (ulong i = first + me.lane; i < end; i += step) output[i] = To(float(input[i]));
}

template <typename From>
inline void cast_from(const device From* input, device uchar* output, ulong output_start,
                      ulong left, cast_thread me) {
  if (output_type == MFA_TYPE_FLOAT) {
    cast_part(input, reinterpret_cast<device float*>(output) + output_start, left, me);
  } else if (output_type == MFA_TYPE_HALF) {
    cast_part(input, reinterpret_cast<device half*>(output) + output_start, left, me);
  } else if (output_type == MFA_TYPE_BFLOAT) {
    cast_part(input, reinterpret_cast<device bfloat*>(output) + output_start, left, me);
  }
}
