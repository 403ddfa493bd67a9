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

/// `part` elements per threadgroup; neighbouring threads take neighbouring elements.
/// Indices of 64 bits cannot wrap: every vector is seen to be contiguous.
template <typename From, typename To>
inline void cast_part(const device From* input, device To* output, ulong left, uint thread_index,
                      uint threads) {
  if (left >= ulong(threads) * MFA_CAST_PER_THREAD) {
    input += thread_index;
    output += thread_index;
#pragma clang loop unroll(full)
    for (uint i = 0; i < MFA_CAST_PER_THREAD; ++i) {
      output[ulong(threads) * i] = To(float(input[ulong(threads) * i]));
    }
  } else {
    for (ulong i = thread_index; i < left; i += threads) output[i] = To(float(input[i]));
  }
}

template <typename From>
inline void cast_from(const device From* input, device uchar* output, ulong output_start,
                      ulong left, uint thread_index, uint threads) {
  if (output_type == MFA_TYPE_FLOAT) {
    cast_part(input, reinterpret_cast<device float*>(output) + output_start, left, thread_index,
              threads);
  } else if (output_type == MFA_TYPE_HALF) {
    cast_part(input, reinterpret_cast<device half*>(output) + output_start, left, thread_index,
              threads);
  } else if (output_type == MFA_TYPE_BFLOAT) {
    cast_part(input, reinterpret_cast<device bfloat*>(output) + output_start, left, thread_index,
              threads);
  }
}
