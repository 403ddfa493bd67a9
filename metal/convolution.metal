// SPDX-License-Identifier: MIT
// The convolution kernel: dimensions, window, element type and variant are function constants.
#include "convolution.h"
#include "convolution_depthwise.h"
#include "convolution_gemm.h"

template <typename T>
inline void convolve(const thread convolution_buffers& buffers, threadgroup uchar* memory,
                     uint3 group, mfa_place place) {
  if (implicit_gemm) {
    convolve_as_gemm<T>(buffers, memory, group, place);
  } else if (depthwise) {
    convolve_depthwise<T>(buffers, memory, group, place);
  }
}

kernel void convolution(const device uchar* data [[buffer(MFA_SLOT_DATA)]],
                        const device uchar* weights [[buffer(MFA_SLOT_WEIGHTS)]],
                        device uchar* result [[buffer(MFA_SLOT_RESULT)]],
                        const device uchar* bias
                        [[buffer(MFA_SLOT_BIAS), function_constant(has_bias)]],
                        constant mfa_convolution_parameters& parameters
                        [[buffer(MFA_SLOT_PARAMETERS)]],
                        threadgroup uchar* memory [[threadgroup(MFA_SLOT_TILES)]],
                        uint3 group [[threadgroup_position_in_grid]],
                        ushort simdgroup [[simdgroup_index_in_threadgroup]],
                        ushort lane [[thread_index_in_simdgroup]]) {
  if (!convolution_supported) return;
  const ushort first = 0;
  const mfa_place place = {simdgroups == 1 ? first : simdgroup, simdgroups, lane};
  convolution_buffers buffers = {};
  buffers.data = data;
  buffers.weights = weights;
  buffers.result = result;
  buffers.bias = has_bias ? bias : nullptr;
  buffers.parameters = &parameters;
  if (data_type == MFA_TYPE_FLOAT) {
    convolve<float>(buffers, memory, group, place);
  } else if (data_type == MFA_TYPE_HALF) {
    convolve<half>(buffers, memory, group, place);
  } else if (data_type == MFA_TYPE_BFLOAT) {
    convolve<bfloat>(buffers, memory, group, place);
  }
}
