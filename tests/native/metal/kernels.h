// SPDX-License-Identifier: MIT
// The kernels that several tests dispatch.
#pragma once

/// x[i] = a * x[i] + b, for one thread per element.
inline constexpr const char* scale_source = R"(
#include <metal_stdlib>
using namespace metal;
kernel void scale(device float *x [[buffer(0)]], constant float &a [[buffer(1)]],
                  constant float &b [[buffer(3)]], uint i [[thread_position_in_grid]]) {
  x[i] = a * x[i] + b;
}
)";

/// Where every thread is, as Metal's built-in variables say it.
inline constexpr const char* positions_source = R"(
#include <metal_stdlib>
using namespace metal;
kernel void positions(device uint4 *out [[buffer(0)]], uint3 i [[thread_position_in_grid]],
                      uint3 n [[threads_per_grid]], uint3 size [[threads_per_threadgroup]],
                      uint index [[thread_index_in_threadgroup]]) {
  out[(i.z * n.y + i.y) * n.x + i.x] = uint4(i.x + 100 * i.y + 10000 * i.z, size.x, size.y, index);
}
)";

/// Every threadgroup sums its part of `x`, by way of threadgroup memory the host sizes.
inline constexpr const char* group_sum_source = R"(
#include <metal_stdlib>
using namespace metal;
kernel void group_sum(device const int *x [[buffer(0)]], device int *sums [[buffer(1)]],
                      threadgroup int *part [[threadgroup(2)]], uint i [[thread_position_in_grid]],
                      uint t [[thread_position_in_threadgroup]],
                      uint threads [[threads_per_threadgroup]],
                      uint group [[threadgroup_position_in_grid]]) {
  part[t] = x[i];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (uint half_size = threads / 2; half_size > 0; half_size /= 2) {
    if (t < half_size) part[t] += part[t + half_size];
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
  if (t == 0) sums[group] = part[0];
}
)";

/// A kernel with every kind of function constant: required, optional, one that guards an argument.
inline constexpr const char* constants_source = R"(
#include <metal_stdlib>
using namespace metal;
constant uint factor [[function_constant(0)]];
constant bool with_bias [[function_constant(1)]];
constant float optional_value [[function_constant(7)]];
constant float extra = is_function_constant_defined(optional_value) ? optional_value : 0.5f;
kernel void constants(device float *x [[buffer(0)]],
                      device const float *bias [[buffer(1), function_constant(with_bias)]],
                      uint i [[thread_position_in_grid]]) {
  float value = x[i] * float(factor) + extra;
  if (with_bias) value += bias[i];
  x[i] = value;
}
)";
