// SPDX-License-Identifier: MIT
// sinh, cosh, tanh and their inverses, from exp and log(1 + x).
#include "common.h"

float mfa_air_sinh(float x) {
  const float a = absolute(x), t = x * x;
  const float small =
      fma1(a * t, POLYNOMIAL(t, 0x1.555598p-3f, 0x1.10f77cp-7f, 0x1.ab3c64p-13f), a);
  const float half = exp_scaled(a, 1);  // e^a / 2
  const float large = half - 0.25f / half;
  return with_sign(a < 1.0f ? small : large, x);
}

float mfa_air_cosh(float x) {
  const float half = exp_scaled(absolute(x), 1);
  return half + 0.25f / half;
}

INLINE float tanh_small(float a) {
  const float t = a * a;
  return fma1(a * t,
              POLYNOMIAL(t, -0x1.55553ep-2f, 0x1.1109aep-3f, -0x1.b898dcp-5f, 0x1.54b898p-6f,
                         -0x1.825836p-8f),
              a);
}

float mfa_air_tanh(float x) {
  const float a = absolute(x);
  const float large = 1.0f - 2.0f / (exp_scaled(2.0f * a, 0) + 1.0f);
  const float result = a < 0.6f ? tanh_small(a) : large;
  return with_sign(result, x);
}
float mfa_air_fast_tanh(float x) {
  const float a = absolute(x);
  const float large = 1.0f - 2.0f / (mfa_air_fast_exp2(a * 0x1.715476p+1f) + 1.0f);
  return with_sign(a < 0.6f ? tanh_small(a) : large, x);
}

float mfa_air_asinh(float x) {
  const float a = absolute(x);
  // a + sqrt(a^2 + 1) = 1 + a + a^2 / (1 + sqrt(a^2 + 1)); beyond 2^30 the square would overflow.
  const int large = a > 0x1p+30f;
  const float b = large ? 1.0f : a;
  const float inside = b + b * b / (1.0f + __builtin_sqrtf(fma1(b, b, 1.0f)));
  const float result = log_one_plus(large ? a : inside) + (large ? 0x1.62e43p-1f : 0.0f);
  return with_sign(result, x);
}

float mfa_air_acosh(float x) {
  const int large = x > 0x1p+30f;
  const float t = large ? 1.0f : x - 1.0f;
  const float inside = t + __builtin_sqrtf(fma1(t, t, 2.0f * t));
  const float result = log_one_plus(large ? x : inside) + (large ? 0x1.62e43p-1f : 0.0f);
  return x >= 1.0f ? result : NOT_A_NUMBER;
}

float mfa_air_atanh(float x) {
  const float a = absolute(x);
  const float result = 0.5f * log_one_plus(2.0f * a / (1.0f - a));
  const float edge = a == 1.0f ? INF : NOT_A_NUMBER;
  return with_sign(a < 1.0f ? result : edge, x);
}
