// SPDX-License-Identifier: MIT
// sin, cos, tan and their forms in half turns: reduction to a quarter turn, then polynomials.
#include "common.h"

INLINE float sin_reduced(float r) {
  const float t = r * r;
  return fma1(r * t, POLYNOMIAL(t, -0x1.555546p-3f, 0x1.11073ap-7f, -0x1.9943ep-13f), r);
}
INLINE float cos_reduced(float r) {
  const float t = r * r;
  return fma1(t * t, POLYNOMIAL(t, 0x1.55554ap-5f, -0x1.6c0c34p-10f, 0x1.99eb9ap-16f),
              fma1(t, -0.5f, 1.0f));
}

/// x - n pi/2 for |x| < 2^16, where n times each part of pi/2 is exact enough.
INLINE float reduce_small(float x, int32_t* n) {
  const float shifted = fma1(x, 0x1.45f306p-1f, MAGIC);
  const float m = shifted - MAGIC;
  *n = bits(shifted);
  float r = fma1(m, -0x1.921fb6p+0f, x);
  r = fma1(m, 0x1.777a5cp-25f, r);
  return fma1(m, 0x1.ee59dap-50f, r);
}

/// Bits 32*i + shift … of 2/pi, preceded by 32 zeros.
INLINE uint32_t choose(uint32_t i, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  const uint32_t low = i == 0 ? a : b, high = i == 2 ? c : d;
  return i < 2 ? low : high;
}
INLINE uint32_t funnel(uint32_t high, uint32_t low, uint32_t shift) {
  return (high << shift) | (low >> 1 >> (31 - shift));
}

/// As reduce_small for 2^16 <= |x| < 2^128: multiplies the mantissa by the 96 bits of 2/pi that can
/// matter modulo 4 (Payne and Hanek).
INLINE float reduce_large(float x, int32_t* n) {
  const uint32_t a = (uint32_t)bits(x) & 0x7fffffff;
  const uint32_t start = ((a >> 23) - 128) & 127;  // x < 2^(start + 2)
  const uint32_t i = start >> 5, shift = start & 31;
  const uint32_t t0 = choose(i, 0, 0xa2f9836e, 0x4e441529, 0xfc2757d1);
  const uint32_t t1 = choose(i, 0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0);
  const uint32_t t2 = choose(i, 0x4e441529, 0xfc2757d1, 0xf534ddc0, 0xdb629599);
  const uint32_t t3 = choose(i, 0xfc2757d1, 0xf534ddc0, 0xdb629599, 0x3c439041);
  const uint64_t m = (a << 8) | 0x80000000u;
  const uint64_t w0 = funnel(t0, t1, shift), w1 = funnel(t1, t2, shift), w2 = funnel(t2, t3, shift);
  // The top 64 bits of the product modulo 2^96: two bits of quarter turns, then the fraction.
  const uint64_t product = (m * w2 >> 32) + m * w1 + (m * w0 << 32);
  const uint64_t quarter = (product + ((uint64_t)1 << 61)) >> 62;
  const float f = (float)(int64_t)(product << 2) * 0x1.921fb6p-64f;
  const int negative = bits(x) < 0;
  *n = negative ? -(int32_t)quarter : (int32_t)quarter;
  return negative ? -f : f;
}

INLINE float reduce(float x, int32_t* n) {
  int32_t small_n, large_n;
  const float small = reduce_small(x, &small_n), large = reduce_large(x, &large_n);
  const int is_small = absolute(x) < 0x1p+16f;
  *n = is_small ? small_n : large_n;
  // Infinity and NaN have no angle.
  return absolute(x) < INF ? (is_small ? small : large) : NOT_A_NUMBER;
}

/// sin(r + n pi/2)
INLINE float turn(float sine, float cosine, int32_t n) {
  const float value = n & 1 ? cosine : sine;
  return real(bits(value) ^ (int32_t)((uint32_t)(n & 2) << 30));
}

float mfa_air_sin(float x) {
  int32_t n;
  const float r = reduce(x, &n);
  const float result = turn(sin_reduced(r), cos_reduced(r), n);
  return x == 0.0f ? x : result;
}
float mfa_air_cos(float x) {
  int32_t n;
  const float r = reduce(x, &n);
  return turn(sin_reduced(r), cos_reduced(r), n + 1);
}
float mfa_air_tan(float x) {
  int32_t n;
  const float r = reduce(x, &n);
  const float sine = sin_reduced(r), cosine = cos_reduced(r);
  const float result = n & 1 ? -cosine / sine : sine / cosine;
  return x == 0.0f ? x : result;
}

/// The fast forms reduce as for |x| < 2^16 everywhere.
float mfa_air_fast_sin(float x) {
  int32_t n;
  const float r = reduce_small(x, &n);
  return turn(sin_reduced(r), cos_reduced(r), n);
}
float mfa_air_fast_cos(float x) {
  int32_t n;
  const float r = reduce_small(x, &n);
  return turn(sin_reduced(r), cos_reduced(r), n + 1);
}
float mfa_air_fast_tan(float x) {
  int32_t n;
  const float r = reduce_small(x, &n);
  const float sine = sin_reduced(r), cosine = cos_reduced(r);
  return n & 1 ? -cosine / sine : sine / cosine;
}

/// x - n/2 for the nearest n, exact; from 2^23 on every x is a whole number of half turns.
INLINE float reduce_pi(float x, int32_t* n) {
  const float a = absolute(x);
  // Subtracting whole turns keeps n in range: floor(a/2) by the magic number, exact below 2^23.
  const float turns = (a * 0.5f + 0x1p+23f) - 0x1p+23f;
  const float inside = a < 0x1p+24f ? fma1(turns, -2.0f, a) : 0.0f;
  const float shifted = inside * 2.0f + MAGIC;
  const float m = shifted - MAGIC;
  const int negative = bits(x) < 0;
  const int32_t quarter = bits(shifted) - bits(MAGIC);
  const float r = fma1(m, -0.5f, inside);
  *n = negative ? -quarter : quarter;
  return a < INF ? (negative ? -r : r) : NOT_A_NUMBER;
}
INLINE float sinpi_reduced(float r) {
  const float t = r * r;
  const float tail = r * t * POLYNOMIAL(t, -0x1.4abbbep+2f, 0x1.466004p+1f, -0x1.2dc84cp-1f);
  return fma1(r, 0x1.921fb6p+1f, fma1(r, -0x1.777a5cp-24f, tail));
}
INLINE float cospi_reduced(float r) {
  const float t = r * r;
  return fma1(t, POLYNOMIAL(t, -0x1.3bd3ccp+2f, 0x1.03c1dep+2f, -0x1.55c5ep+0f, 0x1.d9d57cp-3f),
              1.0f);
}

float mfa_air_sinpi(float x) {
  int32_t n;
  const float r = reduce_pi(x, &n);
  const float result = turn(sinpi_reduced(r), cospi_reduced(r), n);
  // A whole number of half turns gives a zero of the argument's sign.
  return result == 0.0f ? with_sign(0.0f, x) : result;
}
float mfa_air_cospi(float x) {
  int32_t n;
  const float r = reduce_pi(x, &n);
  return turn(sinpi_reduced(r), cospi_reduced(r), n + 1) + 0.0f;
}
float mfa_air_tanpi(float x) {
  int32_t n;
  const float r = reduce_pi(x, &n);
  const float sine = sinpi_reduced(r), cosine = cospi_reduced(r);
  const float pole = n & 2 ? -INF : INF;
  return n & 1 ? (sine == 0.0f ? pole : -cosine / sine) : sine / cosine;
}
