// SPDX-License-Identifier: MIT
// What the elementary functions share: bits of floats, fused multiply-add, polynomials.
//
// Everything here is scalar and without branches, tables or library calls: the vectoriser turns it
// into 32-wide code. A float is never cast to an integer type where it may be NaN or out of range.
#pragma once

#include "builtins.h"

#define INLINE static inline __attribute__((always_inline))

#define INF __builtin_inff()
#define NOT_A_NUMBER __builtin_nanf("")
#define PI_2 0x1.921fb6p+0f

INLINE int32_t bits(float x) {
  int32_t i;
  __builtin_memcpy(&i, &x, sizeof i);
  return i;
}
INLINE float real(int32_t i) {
  float x;
  __builtin_memcpy(&x, &i, sizeof x);
  return x;
}
INLINE float fma1(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
INLINE float absolute(float x) { return real(bits(x) & 0x7fffffff); }
INLINE float with_sign(float x, float sign) {
  return real((bits(x) & 0x7fffffff) | (bits(sign) & (int32_t)0x80000000));
}

// 1.5 * 2^23: adding it leaves the nearest integer in the low bits of the sum.
#define MAGIC 0x1.8p+23f

/// 2^n for -126 <= n <= 127; anything else for other n, whose results nobody selects.
INLINE float power_of_two(int32_t n) { return real((int32_t)(((uint32_t)n + 127) << 23)); }

/// x * 2^n for -252 <= n <= 254, correctly rounded also where the result is subnormal.
INLINE float scale(float x, int32_t n) {
  const int32_t half = n >> 1;
  return x * power_of_two(half) * power_of_two(n - half);
}

/// c[0] + c[1] x + ... + c[n-1] x^(n-1)
#define POLYNOMIAL(x, ...)                      \
  polynomial((x), (const float[]){__VA_ARGS__}, \
             sizeof((const float[]){__VA_ARGS__}) / sizeof(float))
INLINE float polynomial(float x, const float* c, int n) {
  float sum = c[n - 1];
#pragma clang loop unroll(full)
  for (int i = n - 2; i >= 0; --i) sum = fma1(sum, x, c[i]);
  return sum;
}
