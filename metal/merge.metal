// SPDX-License-Identifier: MIT
// Attention over parts of the keys -> attention over all of them, by the parts' log-sum-exps.
//
//   LSE = ln(sum of exp(LSE[i])),  O = sum of exp(LSE[i] - LSE) * O[i]
//
// The parts are what `decode` left, or two outputs of attention. A part that saw nothing has
// LSE = -inf and does not count; without any other the row is 0.
#include <metal_stdlib>

#include "shared.h"

using namespace metal;

constant uint given_data_type [[function_constant(MFA_CONSTANT_DATA_TYPE)]];
constant uint given_o_type [[function_constant(MFA_CONSTANT_O_TYPE)]];
constant bool given_write_lse [[function_constant(MFA_CONSTANT_WRITE_LSE)]];
constant bool given_pair [[function_constant(MFA_CONSTANT_PAIR)]];

constant bool pair =
    is_function_constant_defined(given_pair) ? given_pair : false;  // else parts of `decode`
constant bool parts = !pair;
constant uint in_type =
    is_function_constant_defined(given_data_type) ? given_data_type : MFA_TYPE_FLOAT;
constant uint out_type = is_function_constant_defined(given_o_type) ? given_o_type : in_type;
constant bool write_lse = is_function_constant_defined(given_write_lse) ? given_write_lse : false;

constexpr constant float log2_e = 1.44269504f;
constexpr constant float ln_2 = 0.693147181f;
constexpr constant float nothing = -1e38f;

inline float load_element(const device uchar* data, ulong index) {
  if (in_type == MFA_TYPE_HALF) return float(reinterpret_cast<const device half*>(data)[index]);
  if (in_type == MFA_TYPE_BFLOAT) return float(reinterpret_cast<const device bfloat*>(data)[index]);
  return reinterpret_cast<const device float*>(data)[index];
}

inline void store_element(device uchar* data, ulong index, float value) {
  if (out_type == MFA_TYPE_HALF) {
    reinterpret_cast<device half*>(data)[index] = half(value);
  } else if (out_type == MFA_TYPE_BFLOAT) {
    reinterpret_cast<device bfloat*>(data)[index] = bfloat(value);
  } else {
    reinterpret_cast<device float*>(data)[index] = value;
  }
}

/// Threadgroup (x, y, z): row x of head y of batch z; its lanes run along the columns.
kernel void merge(
    device uchar* O [[buffer(MFA_SLOT_O)]],
    device float* lse [[buffer(MFA_SLOT_LSE), function_constant(write_lse)]],
    const device float* partials [[buffer(MFA_SLOT_PARTIALS), function_constant(parts)]],
    const device uchar* first [[buffer(MFA_SLOT_FIRST), function_constant(pair)]],
    const device float* first_lse [[buffer(MFA_SLOT_FIRST_LSE), function_constant(pair)]],
    const device uchar* second [[buffer(MFA_SLOT_SECOND), function_constant(pair)]],
    const device float* second_lse [[buffer(MFA_SLOT_SECOND_LSE), function_constant(pair)]],
    constant mfa_merge_parameters& p [[buffer(MFA_SLOT_PARAMETERS)]],
    uint3 group [[threadgroup_position_in_grid]], uint thread_index [[thread_index_in_threadgroup]],
    uint threads [[threads_per_threadgroup]]) {
  const uint row = group.x, head = group.y, batch = group.z;
  const ulong to = batch * p.O.batch + head * p.O.head + row * p.O.leading;
  const ulong to_lse = batch * p.lse_batch + head * p.lse_head + row;
  float m = nothing, l = 0.0f;  // log2 units
  if (pair) {
    const ulong a = batch * p.first.batch + head * p.first.head + row * p.first.leading;
    const ulong b = batch * p.second.batch + head * p.second.head + row * p.second.leading;
    const float lse_a =
        first_lse[batch * p.first_lse_batch + head * p.first_lse_head + row] * log2_e;
    const float lse_b =
        second_lse[batch * p.second_lse_batch + head * p.second_lse_head + row] * log2_e;
    m = max(lse_a, lse_b);
    const float base = m <= nothing ? 0.0f : m;
    const float weight_a = precise::exp2(lse_a - base), weight_b = precise::exp2(lse_b - base);
    l = weight_a + weight_b;
    const float factor = l == 0.0f ? 0.0f : 1.0f / l;
    for (uint column = thread_index; column < p.D_V; column += threads) {
      // What has no weight is not looked at: it may be anything.
      float sum = 0.0f;
      if (weight_a != 0.0f) sum = weight_a * load_element(first, a + column * p.first_column);
      if (weight_b != 0.0f) {
        sum = fma(weight_b, load_element(second, b + column * p.second_column), sum);
      }
      store_element(O, to + column * p.O_column, sum * factor);
    }
  } else {
    const ulong width = p.D_V + 1;
    const ulong from = ((batch * ulong(p.H) + head) * p.R + row) * p.parts * width;
    for (uint i = 0; i < p.parts; ++i) {
      m = max(m, partials[from + i * width + p.D_V]);
    }
    const float base = m <= nothing ? 0.0f : m;
    for (uint i = 0; i < p.parts; ++i) {
      l += precise::exp2(partials[from + i * width + p.D_V] - base);
    }
    const float factor = l == 0.0f ? 0.0f : 1.0f / l;
    for (uint column = thread_index; column < p.D_V; column += threads) {
      float sum = 0.0f;
      for (uint i = 0; i < p.parts; ++i) {
        const float weight = precise::exp2(partials[from + i * width + p.D_V] - base);
        sum = fma(weight, partials[from + i * width + column], sum);
      }
      store_element(O, to + column * p.O_column, sum * factor);
    }
  }
  if (write_lse && thread_index == 0) {
    lse[to_lse] = l == 0.0f ? as_type<float>(0xff800000u) : (m + precise::log2(l)) * ln_2;
  }
}
