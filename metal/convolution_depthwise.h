// SPDX-License-Identifier: MIT
// Convolution of each channel by itself, or of groups of few channels: a lane owns an output
// channel.
//
//   weights of 32 channels -> threadgroup memory, once
//   for strips of the threadgroup:
//     sums[0..7] = bias
//     for taps: sums[i] += data[input of output i at this tap][channel] * weights[tap][channel]
//     output[0..7][channel] = activation(sums)
//
// The other channels of a group are in the lanes beside: where it has several, a tap is so many
// products, each with the data of another lane.
#pragma once

#include "convolution.h"

/// How lanes find their input channels.
enum class channel_lanes {
  whole,    // 32 in a row, all there
  partly,   // in a row, up to the last one
  repeated  // some of them several times: more output than input channels
};

/// The 32 channels of a threadgroup. `lane`: of the data, from the first one on.
struct channel_block {
  ulong first, lane;
  bool active;
};

template <typename T, channel_lanes lanes>
inline float channel_value(const device T* pixel, channel_block channels, ushort lane) {
  if (lanes == channel_lanes::whole) return float(pixel[lane]);
  float value = 0.0f;
  if (channels.active) value = float(pixel[lanes == channel_lanes::partly ? lane : channels.lane]);
  return value;
}

/// One tap of one output. `weights`: of this tap, 32 for every channel of a group.
template <typename T, channel_lanes lanes>
inline float add_pixel(const device T* pixel, const threadgroup float* weights,
                       channel_block channels, ushort lane, float sum) {
  const float value = channel_value<T, lanes>(pixel, channels, lane);
  if (group_channels == 1) return fma(value, weights[lane], sum);
  const ushort first = lane & ~ushort(group_channels - 1);
#pragma clang loop unroll(full)
  for (ushort c = 0; c < group_channels; ++c) {
    sum = fma(simd_shuffle(value, ushort(first + c)), weights[c * MFA_SIMDGROUP_SIZE + lane], sum);
  }
  return sum;
}

/// Adds one tap to a strip of `count` sums, whose inputs lie at x, x + p.step[2], ... of `row`.
template <typename T, channel_lanes lanes>
inline void add_tap(const device T* row, int x, uint count, const threadgroup float* weights,
                    channel_block channels, constant mfa_convolution_parameters& p, ushort lane,
                    thread float* sums) {
  const long last = long(x) + long(count - 1) * p.step[2];
  const long step = p.step[2] * long(p.input_stride[2]);
  row += x * long(p.input_stride[2]);
  if (count == MFA_DEPTHWISE_OUTPUTS && x >= 0 && last < long(p.input[2])) {
#pragma clang loop unroll(full)
    for (uint i = 0; i < MFA_DEPTHWISE_OUTPUTS; ++i) {
      sums[i] = add_pixel<T, lanes>(row + i * step, weights, channels, lane, sums[i]);
    }
  } else {
#pragma clang loop unroll(full)
    for (uint i = 0; i < MFA_DEPTHWISE_OUTPUTS; ++i) {
      const long at = long(x) + long(i) * p.step[2];
      if (i < count && at >= 0 && at < long(p.input[2])) {
        sums[i] = add_pixel<T, lanes>(row + i * step, weights, channels, lane, sums[i]);
      }
    }
  }
}

/// Outputs at.x, at.x + 1, ... of a row, as many as a strip has.
template <typename T, channel_lanes lanes>
inline void convolve_strip(const device T* data, device T* result, uint4 at, channel_block channels,
                           float bias, const threadgroup float* weights,
                           constant mfa_convolution_parameters& p, ushort lane) {
  const uint3 taps = taps_of(p);
  const uint count = min(uint(MFA_DEPTHWISE_OUTPUTS), p.outputs[2] - at.x);
  const device T* image = data + at.w * p.input_image;
  float sums[MFA_DEPTHWISE_OUTPUTS];
#pragma clang loop unroll(full)
  for (uint i = 0; i < MFA_DEPTHWISE_OUTPUTS; ++i) sums[i] = bias;
  // Rolled: a window of 7 x 7 took seconds to compile.
#pragma clang loop unroll(disable)
  for (uint tz = 0; tz < (dimensions > 2 ? taps.z : 1); ++tz) {
    const int z = dimensions > 2 ? p.first[0] + int(at.z) * p.step[0] + int(tz) * p.tap_step[0] : 0;
    if (dimensions > 2 && uint(z) >= p.input[0]) continue;
    const uint wz = part_of_window ? p.window_first[0] + tz * p.window_step[0] : tz;
#pragma clang loop unroll(disable)
    for (uint ty = 0; ty < (dimensions > 1 ? taps.y : 1); ++ty) {
      const int y =
          dimensions > 1 ? p.first[1] + int(at.y) * p.step[1] + int(ty) * p.tap_step[1] : 0;
      if (dimensions > 1 && uint(y) >= p.input[1]) continue;
      const uint wy = part_of_window ? p.window_first[1] + ty * p.window_step[1] : ty;
      const device T* row = image + uint(z) * p.input_stride[0] + uint(y) * p.input_stride[1];
      const uint w_row =
          ((dimensions > 2 ? wz : 0) * window_y + (dimensions > 1 ? wy : 0)) * window_x;
#pragma clang loop unroll(disable)
      for (uint tx = 0; tx < taps.x; ++tx) {
        const int x = p.first[2] + int(at.x) * p.step[2] + int(tx) * p.tap_step[2];
        const uint w = w_row + (part_of_window ? p.window_first[2] + tx * p.window_step[2] : tx);
        add_tap<T, lanes>(row, x, count, weights + w * group_channels * MFA_SIMDGROUP_SIZE,
                          channels, p, lane, sums);
      }
    }
  }
  device T* to = result + p.output_first + at.w * p.output_image + at.x * p.output_stride[2];
  if (dimensions > 1) to += at.y * p.output_stride[1];
  if (dimensions > 2) to += at.z * p.output_stride[0];
#pragma clang loop unroll(full)
  for (uint i = 0; i < MFA_DEPTHWISE_OUTPUTS; ++i) {
    device T* output = to + i * p.output_stride[2];
    if (i < count && (lanes == channel_lanes::whole || channels.active)) {
      output[lane] = T(activate(sums[i], activation));
    }
  }
}

inline uint strips_of_row(constant mfa_convolution_parameters& p) {
  return (p.outputs[2] + MFA_DEPTHWISE_OUTPUTS - 1) / MFA_DEPTHWISE_OUTPUTS;
}

/// The first output of a strip. Strips come one below the other: the rows of data that the window
/// has in common are still in a CPU's nearest cache, which few pixels of many channels fill.
inline uint4 place_of_strip(constant mfa_convolution_parameters& p, uint index) {
  uint4 at = uint4(0);
  if (dimensions > 1) {
    at.y = index % p.outputs[1];
    index /= p.outputs[1];
  }
  at.x = index % strips_of_row(p) * MFA_DEPTHWISE_OUTPUTS;
  index /= strips_of_row(p);
  if (dimensions > 2) {
    at.z = index % p.outputs[0];
    index /= p.outputs[0];
  }
  at.w = index;
  return at;
}

/// Threadgroup (x, y): 32 output channels x, p.strips strips y. With more output than input
/// channels, K outputs in a row read the same input channel.
template <typename T>
inline void convolve_depthwise(const thread convolution_buffers& buffers, threadgroup uchar* memory,
                               uint3 group, mfa_place place) {
  constant mfa_convolution_parameters& p =
      *reinterpret_cast<constant mfa_convolution_parameters*>(buffers.parameters);
  const uint strips = p.images * strips_of_row(p) * (dimensions > 1 ? p.outputs[1] : 1) *
                      (dimensions > 2 ? p.outputs[0] : 1);
  const uint all = p.groups * p.K;
  const uint first = (p.first_block + group.y) * p.strips, block = group.x * MFA_SIMDGROUP_SIZE;
  if (first >= strips || block >= all) return;  // the whole threadgroup
  const ulong channel = min(block + place.lane, ulong(all - 1));
  threadgroup float* weights = reinterpret_cast<threadgroup float*>(memory);
  const device T* stored = reinterpret_cast<const device T*>(buffers.weights);
  const uint all_weights = window_size * group_channels;  // of an output channel
  for (uint w = place.simdgroup; w < all_weights; w += place.simdgroups) {
    const ulong index = channel * all_weights + w;
    float value;
    if (palette) {
      const ulong bit = index * bits;
      const uint number = number_at(buffers.weights + (bit >> 3), uint(bit & 7));
      const ulong which = group_size == 0 ? 0 : channel / group_size;
      value = value_at(buffers.palette, which * entries + number, weight_type);
    } else {
      value = float(stored[index]);
    }
    weights[w * MFA_SIMDGROUP_SIZE + place.lane] = value;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);

  float bias = 0.0f;
  if (has_bias) bias = float(reinterpret_cast<const device T*>(buffers.bias)[channel]);
  channel_block channels = {block, place.lane, block + place.lane < all};
  const bool repeated = group_channels == 1 && p.K != 1;
  if (repeated) {
    channels.first = block / p.K;
    channels.lane = uint(channel) / p.K - uint(channels.first);
  }
  const device T* data = reinterpret_cast<const device T*>(buffers.data) + channels.first;
  device T* result = reinterpret_cast<device T*>(buffers.result) + block;
  const uint end = min(first + p.strips, strips);
  for (uint s = first + place.simdgroup; s < end; s += place.simdgroups) {
    const uint4 at = place_of_strip(p, s);
    if (repeated) {
      convolve_strip<T, channel_lanes::repeated>(data, result, at, channels, bias, weights, p,
                                                 place.lane);
    } else if (block + MFA_SIMDGROUP_SIZE <= all) {
      convolve_strip<T, channel_lanes::whole>(data, result, at, channels, bias, weights, p,
                                              place.lane);
    } else {
      convolve_strip<T, channel_lanes::partly>(data, result, at, channels, bias, weights, p,
                                               place.lane);
    }
  }
}
