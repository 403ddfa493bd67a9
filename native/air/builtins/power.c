// SPDX-License-Identifier: MIT
// pow and powr: 2^(y log2 x), the logarithm in double because y multiplies its error.
#include "common.h"

INLINE double poly64(double x, double a, double b, double c, double d, double e) {
  const double ab = __builtin_fma(b, x, a), cd = __builtin_fma(d, x, c);
  const double t = x * x;
  return __builtin_fma(__builtin_fma(t, e, cd), t, ab);
}

/// |x|^y for x not 0, NaN or infinite.
INLINE float power_of_magnitude(float x, float y) {
  float e;
  const float f = split_any(absolute(x), &e);
  const double s = (double)f / (2.0 + (double)f);
  const double log2_x =
      __builtin_fma(s,
                    poly64(s * s, 0x1.71547652bedf1p+1, 0x1.ec709d12d0a7cp-1, 0x1.27777fe7b2eedp-1,
                           0x1.a58d89266df35p-2, 0x1.5ce84e04b8ccap-2),
                    (double)e);
  double t = (double)y * log2_x;
  t = t < -200.0 ? -200.0 : t;
  t = t > 200.0 ? 200.0 : t;
  int32_t n;
  const float m = nearest((float)t, &n);
  const float r = (float)(t - (double)m);
  const float p = POLYNOMIAL(r, 0x1.62e43p-1f, 0x1.ebfbdap-3f, 0x1.c6aed4p-5f, 0x1.3b2dbcp-7f,
                             0x1.5f456ap-10f, 0x1.41d32ep-13f);
  return scale(fma1(r, p, 1.0f), n);
}

/// |x|^y with the limits for 0 and infinity.
INLINE float power_magnitude(float x, float y) {
  const float a = absolute(x);
  const int vanishing = (a == 0.0f) | (absolute(y) == INF ? a < 1.0f : 0);
  const int growing = (a == INF) | (absolute(y) == INF ? a > 1.0f : 0);
  const int zero = (vanishing & (y > 0.0f)) | (growing & (y < 0.0f));
  const int infinite = (vanishing & (y < 0.0f)) | (growing & (y > 0.0f));
  float result = power_of_magnitude(x, absolute(y) == INF ? 0.0f : y);
  result = zero ? 0.0f : result;
  return infinite ? INF : result;
}

float mfa_air_pow(float x, float y) {
  // From 2^24 on every float is an even integer.
  const float ay = absolute(y);
  const float whole = ay < 0x1p+23f ? (ay + 0x1p+23f) - 0x1p+23f : ay;
  const int integer = whole == ay;
  const int odd = integer & (ay < 0x1p+24f) & (bits(ay + (ay < 0x1p+23f ? 0x1p+23f : 0.0f)) & 1);
  float result = power_magnitude(x, y);
  result = (bits(x) < 0) & odd ? -result : result;
  const int undefined = (x < 0.0f) & !integer & (ay < INF) & (x > -INF);
  result = undefined ? NOT_A_NUMBER : result;
  result = ((x != x) | (y != y)) ? x + y : result;
  return ((x == 1.0f) | (y == 0.0f)) ? 1.0f : result;
}

float mfa_air_powr(float x, float y) {
  const float a = absolute(x), ay = absolute(y);
  const int undefined = !(x >= 0.0f) | (y != y) | ((y == 0.0f) & ((a == 0.0f) | (a == INF))) |
                        ((x == 1.0f) & (ay == INF));
  return undefined ? NOT_A_NUMBER : power_magnitude(x, y);
}

float mfa_air_fast_powr(float x, float y) { return mfa_air_fast_exp2(y * mfa_air_fast_log2(x)); }
