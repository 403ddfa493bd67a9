// SPDX-License-Identifier: MIT
// Convolution of each channel by itself: a lane owns an output channel.
//
//   weights of 32 channels -> threadgroup memory, once
//   for outputs of the threadgroup:
//     output[channel] = activation(sum over taps of data[tap][channel] * weights[tap][channel])
#pragma once

#include "convolution.h"

/// Threadgroup (x, y): 32 output channels x, MFA_DEPTHWISE_PIXELS outputs y. With more output than
/// input channels, K outputs in a row read the same input channel.
template <typename T>
inline void convolve_depthwise(const thread convolution_buffers& buffers, threadgroup uchar* memory,
                               uint3 group, mfa_place place) {
  constant mfa_convolution_parameters& p =
      *reinterpret_cast<constant mfa_convolution_parameters*>(buffers.parameters);
  const uint outputs = p.images * p.outputs[2] * (dimensions > 1 ? p.outputs[1] : 1) *
                       (dimensions > 2 ? p.outputs[0] : 1);
  const uint channels = p.groups * p.K;
  const uint first = (p.first_block + group.y) * MFA_DEPTHWISE_PIXELS,
             block = group.x * MFA_SIMDGROUP_SIZE;
  if (first >= outputs || block >= channels) return;  // the whole threadgroup
  const bool active = block + place.lane < channels;
  const ulong channel = min(block + place.lane, ulong(channels - 1));
  threadgroup float* weights = reinterpret_cast<threadgroup float*>(memory);
  const device T* stored = reinterpret_cast<const device T*>(buffers.weights);
  for (uint w = place.simdgroup; w < window_size; w += place.simdgroups) {
    float value;
    if (palette) {
      const ulong bit = (channel * window_size + w) * bits;
      const uint number = number_at(buffers.weights + (bit >> 3), uint(bit & 7));
      const ulong which = group_size == 0 ? 0 : channel / group_size;
      value = value_at(buffers.palette, which * entries + number, weight_type);
    } else {
      value = float(stored[channel * window_size + w]);
    }
    weights[w * MFA_SIMDGROUP_SIZE + place.lane] = value;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);

  float bias = 0.0f;
  if (has_bias) bias = float(reinterpret_cast<const device T*>(buffers.bias)[channel]);
  const device T* data = reinterpret_cast<const device T*>(buffers.data);
  device T* result = reinterpret_cast<device T*>(buffers.result);
  const ulong data_lane = p.K == 1 ? place.lane : channel / p.K - block / p.K;
  const ulong data_block = block / p.K;
  const uint3 taps = taps_of(p);
  const uint last = min(first + MFA_DEPTHWISE_PIXELS, outputs);
  for (uint o = first + place.simdgroup; o < last; o += place.simdgroups) {
    const uint4 at = place_of_output(p, o);
    const device T* image = data + at.w * p.input_image + data_block;
    float sum = bias;
    for (uint tz = 0; tz < (dimensions > 2 ? taps.z : 1); ++tz) {
      const int z =
          dimensions > 2 ? p.first[0] + int(at.z) * p.step[0] + int(tz) * p.tap_step[0] : 0;
      if (dimensions > 2 && uint(z) >= p.input[0]) continue;
      const uint wz = part_of_window ? p.window_first[0] + tz * p.window_step[0] : tz;
      for (uint ty = 0; ty < (dimensions > 1 ? taps.y : 1); ++ty) {
        const int y =
            dimensions > 1 ? p.first[1] + int(at.y) * p.step[1] + int(ty) * p.tap_step[1] : 0;
        if (dimensions > 1 && uint(y) >= p.input[1]) continue;
        const uint wy = part_of_window ? p.window_first[1] + ty * p.window_step[1] : ty;
        const device T* row = image + uint(z) * p.input_stride[0] + uint(y) * p.input_stride[1];
        for (uint tx = 0; tx < taps.x; ++tx) {
          const int x = p.first[2] + int(at.x) * p.step[2] + int(tx) * p.tap_step[2];
          if (uint(x) >= p.input[2]) continue;
          const uint wx = part_of_window ? p.window_first[2] + tx * p.window_step[2] : tx;
          const uint w =
              ((dimensions > 2 ? wz : 0) * window_y + (dimensions > 1 ? wy : 0)) * window_x + wx;
          const device T* pixel = row + uint(x) * p.input_stride[2];
          float value = 0.0f;
          if (active) value = float(pixel[data_lane]);
          sum = fma(value, weights[w * MFA_SIMDGROUP_SIZE + place.lane], sum);
        }
      }
    }
    device T* to =
        result + p.output_first + at.w * p.output_image + at.x * p.output_stride[2] + block;
    if (dimensions > 1) to += at.y * p.output_stride[1];
    if (dimensions > 2) to += at.z * p.output_stride[0];
    if (active) to[place.lane] = T(activate(sum, activation));
  }
}
