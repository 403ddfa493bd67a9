// SPDX-License-Identifier: MIT
// log, log2, log10 and log(1 + x): the exponent plus a polynomial in the mantissa.
#include "common.h"

#define SQRT_HALF_BITS 0x3f3504f3

/// x = (1 + f) * 2^e with 1 + f between sqrt(1/2) and sqrt(2); for normal positive x.
INLINE float split(float x, float* e) {
  const int32_t n = (bits(x) - SQRT_HALF_BITS) >> 23;
  *e = (float)n;
  return real(bits(x) - (int32_t)((uint32_t)n << 23)) - 1.0f;
}

/// As split, for subnormal x too.
INLINE float split_any(float x, float* e) {
  const int small = x < 0x1p-126f;
  const float f = split(small ? x * 0x1p+25f : x, e);
  *e -= small ? 25.0f : 0.0f;
  return f;
}

/// What a logarithm is where the polynomial does not apply.
INLINE float log_edges(float x, float result) {
  result = x == INF ? INF : result;
  result = x == 0.0f ? -INF : result;
  return x >= 0.0f ? result : NOT_A_NUMBER;
}

/// log(1 + f) - f
INLINE float log_tail(float f) {
  return f * f *
         POLYNOMIAL(f, -0x1.fffff8p-2f, 0x1.55555p-2f, -0x1.000428p-2f, 0x1.99a402p-3f,
                    -0x1.54274ap-3f, 0x1.22709cp-3f, -0x1.0f375cp-3f, 0x1.084ep-3f,
                    -0x1.383d96p-4f);
}

/// e ln 2 + log(1 + f) + c
INLINE float log_join(float e, float f, float c) {
  float sum = fma1(e, 0x1.7f7d1cp-20f, log_tail(f) + c);
  return fma1(e, 0x1.62e4p-1f, f + sum);
}

float mfa_air_log(float x) {
  float e;
  const float f = split_any(x, &e);
  return log_edges(x, log_join(e, f, 0.0f));
}

INLINE float log2_mantissa(float f) {
  return POLYNOMIAL(f, 0x1.715476p+0f, -0x1.71547p-1f, 0x1.ec7096p-2f, -0x1.715a76p-2f,
                    0x1.277e36p-2f, -0x1.eabc86p-3f, 0x1.a305bap-3f, -0x1.874c06p-3f,
                    0x1.7d48dep-3f, -0x1.c258e4p-4f);
}

float mfa_air_log2(float x) {
  float e;
  const float f = split_any(x, &e);
  return log_edges(x, fma1(f, log2_mantissa(f), e));
}

float mfa_air_log10(float x) {
  float e;
  const float f = split_any(x, &e);
  // log10(2) and log10(e), each in two parts.
  const float tail = log_tail(f);
  float low = fma1(e, 0x1.3509f8p-18f, tail * 0x1.bcb7b2p-2f);
  low = fma1(f, -0x1.5b235ep-27f, low);
  const float high = fma1(f, 0x1.bcb7b2p-2f, low);
  return log_edges(x, fma1(e, 0x1.344p-2f, high));
}

/// Subnormal arguments count as 2^-126 or so; everything else as the precise forms, with less
/// accuracy.
INLINE float fast_log2_any(float x) {
  float e;
  const float f = split(x, &e);
  return fma1(f,
              POLYNOMIAL(f, 0x1.715474p+0f, -0x1.715528p-1f, 0x1.ec7724p-2f, -0x1.70e2a8p-2f,
                         0x1.25fd3cp-2f, -0x1.fdb34cp-3f, 0x1.df512ep-3f, -0x1.2a9e52p-3f),
              e);
}
float mfa_air_fast_log2(float x) { return log_edges(x, fast_log2_any(x)); }
float mfa_air_fast_log(float x) { return log_edges(x, fast_log2_any(x) * 0x1.62e43p-1f); }
float mfa_air_fast_log10(float x) { return log_edges(x, fast_log2_any(x) * 0x1.344136p-2f); }

/// log(1 + x) for x > -1: the part of x that 1 + x loses is added to the logarithm.
INLINE float log_one_plus(float x) {
  float e;
  const float sum = 1.0f + x;
  const float lost = x < 1.0f ? x - (sum - 1.0f) : 1.0f - (sum - x);
  const float f = split(sum, &e);
  const float direct = log_join(e, f, lost / sum);
  const float small = x + log_tail(x);
  const float result = absolute(x) < 0.25f ? small : direct;
  return sum == INF ? INF : result;
}
