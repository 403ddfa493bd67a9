// SPDX-License-Identifier: MIT
// The steps of the network between its matrix products: rows of half-precision numbers in and out.
//
// One simdgroup works on one row. Sums run in float.
#include <metal_stdlib>
using namespace metal;

// Sum of the word, place and kind embeddings of each token. One thread per number.
kernel void embed(device const uint* ids [[buffer(0)]], device const half* words [[buffer(1)]],
                  device const half* places [[buffer(2)]], device const half* kind [[buffer(3)]],
                  device half* out [[buffer(4)]], constant uint& tokens [[buffer(5)]],
                  uint2 p [[thread_position_in_grid]], uint2 grid [[threads_per_grid]]) {
  ulong width = grid.x;
  ulong word = ulong(ids[p.y]) * width + p.x, place = ulong(p.y % tokens) * width + p.x;
  out[p.y * width + p.x] = half(float(words[word]) + float(places[place]) + float(kind[p.x]));
}

struct Norm {
  uint width;
  float epsilon;
};

// out = layer_norm(x + residual) * gain + offset, row by row. `residual` may be x itself, unused.
kernel void add_norm(device const half* x [[buffer(0)]], device const half* residual [[buffer(1)]],
                     device const half* gain [[buffer(2)]], device const half* offset [[buffer(3)]],
                     device half* out [[buffer(4)]], constant Norm& norm [[buffer(5)]],
                     constant bool& add [[buffer(6)]], uint row [[threadgroup_position_in_grid]],
                     uint lane [[thread_index_in_simdgroup]]) {
  x += ulong(row) * norm.width;
  residual += ulong(row) * norm.width;
  out += ulong(row) * norm.width;
  float sum = 0;
  for (uint i = lane; i < norm.width; i += 32) {
    sum += float(x[i]) + (add ? float(residual[i]) : 0.0f);
  }
  float mean = simd_sum(sum) / float(norm.width);
  float squares = 0;
  for (uint i = lane; i < norm.width; i += 32) {
    float centred = float(x[i]) + (add ? float(residual[i]) : 0.0f) - mean;
    squares += centred * centred;
  }
  float scale = rsqrt(simd_sum(squares) / float(norm.width) + norm.epsilon);
  for (uint i = lane; i < norm.width; i += 32) {
    float centred = float(x[i]) + (add ? float(residual[i]) : 0.0f) - mean;
    out[i] = half(centred * scale * float(gain[i]) + float(offset[i]));
  }
}

// The error function to 1.5e-7: Abramowitz and Stegun, 7.1.26.
static float error_function(float x) {
  float t = 1.0f / (1.0f + 0.3275911f * fabs(x));
  float poly = ((((1.061405429f * t - 1.453152027f) * t + 1.421413741f) * t - 0.284496736f) * t +
                0.254829592f) *
               t;
  return copysign(1.0f - poly * exp(-x * x), x);
}

// The exact GELU, in place. One thread per number.
kernel void gelu(device half* x [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  float value = x[i];
  x[i] = half(0.5f * value * (1.0f + error_function(value * 0.70710678f)));
}

// Mean of the tokens that are not padding, scaled to length 1. One simdgroup per sentence.
kernel void pool(device const half* x [[buffer(0)]], device const bool* mask [[buffer(1)]],
                 device float* out [[buffer(2)]], constant uint& tokens [[buffer(3)]],
                 constant uint& width [[buffer(4)]], uint sentence [[threadgroup_position_in_grid]],
                 uint lane [[thread_index_in_simdgroup]]) {
  x += ulong(sentence) * tokens * width;
  mask += ulong(sentence) * tokens;
  out += ulong(sentence) * width;
  float squares = 0;
  for (uint i = lane; i < width; i += 32) {
    float sum = 0;
    for (uint t = 0; t < tokens; ++t) sum += mask[t] ? float(x[ulong(t) * width + i]) : 0.0f;
    out[i] = sum;
    squares += sum * sum;
  }
  float scale = rsqrt(simd_sum(squares));
  for (uint i = lane; i < width; i += 32) out[i] *= scale;
}
