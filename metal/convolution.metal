// SPDX-License-Identifier: MIT
// The convolution kernel: dimensions, window, element type and variant are function constants.
#include "convolution.h"
#include "convolution_depthwise.h"
#include "convolution_gemm.h"
#include "winograd.h"
#include "winograd_product.h"
#include "winograd_tiles.h"

template <typename T>
inline void transform(const thread convolution_buffers& buffers, threadgroup uchar* memory,
                      uint3 group, mfa_place place) {
  constant mfa_winograd_parameters& p =
      *reinterpret_cast<constant mfa_winograd_parameters*>(buffers.parameters);
  if (winograd_data) {
    transform_data<T>(buffers, p, group, place);
  } else if (winograd_weights) {
    transform_weights<T>(buffers, p, memory, group, place);
  } else if (winograd_product) {
    multiply_transformed<T>(buffers, p, memory, group, place);
  } else if (winograd_tiles) {
    convolve_tiles<T>(buffers, p, memory, group, place);
  } else {
    transform_products<T>(buffers, p, group, place);
  }
}

template <typename T>
inline void convolve(const thread convolution_buffers& buffers, threadgroup uchar* memory,
                     uint3 group, mfa_place place) {
  if (implicit_gemm) {
    convolve_as_gemm<T>(buffers, memory, group, place);
  } else if (depthwise) {
    convolve_depthwise<T>(buffers, memory, group, place);
  } else {
    transform<T>(buffers, memory, group, place);
  }
}

kernel void convolution(
    const device uchar* data [[buffer(MFA_SLOT_DATA), function_constant(reads_data)]],
    const device uchar* weights [[buffer(MFA_SLOT_WEIGHTS), function_constant(reads_weights)]],
    device uchar* result [[buffer(MFA_SLOT_RESULT)]],
    const device uchar* bias [[buffer(MFA_SLOT_BIAS), function_constant(has_bias)]],
    const device uchar* palettes [[buffer(MFA_SLOT_PALETTE), function_constant(reads_palettes)]],
    constant uchar* parameters [[buffer(MFA_SLOT_PARAMETERS)]],
    threadgroup uchar* memory [[threadgroup(MFA_SLOT_TILES)]],
    uint3 group [[threadgroup_position_in_grid]],
    ushort simdgroup [[simdgroup_index_in_threadgroup]],
    ushort lane [[thread_index_in_simdgroup]]) {
  if (!convolution_supported) return;
  const ushort first = 0;
  const mfa_place place = {simdgroups == 1 ? first : simdgroup, simdgroups, lane};
  convolution_buffers buffers = {};
  if (reads_data) buffers.data = data;
  if (reads_weights) buffers.weights = weights;
  buffers.result = result;
  if (has_bias) buffers.bias = bias;
  if (reads_palettes) buffers.palette = palettes;
  buffers.parameters = parameters;
  if (data_type == MFA_TYPE_FLOAT) {
    convolve<float>(buffers, memory, group, place);
  } else if (data_type == MFA_TYPE_HALF) {
    convolve<half>(buffers, memory, group, place);
  } else if (data_type == MFA_TYPE_BFLOAT) {
    convolve<bfloat>(buffers, memory, group, place);
  }
}
