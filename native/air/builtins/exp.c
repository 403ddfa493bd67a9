// SPDX-License-Identifier: MIT
// exp, exp2, exp10 and their fast forms: 2^n times a polynomial in what is left.
#include "common.h"

/// The nearest integer to x, as a float and as an integer, for |x| < 2^22.
INLINE float nearest(float x, int32_t* n) {
  const float shifted = x + MAGIC;
  *n = bits(shifted) - bits(MAGIC);
  return shifted - MAGIC;
}

/// x between the limits; NaN stays NaN.
INLINE float limit(float x, float low, float high) {
  x = x < low ? low : x;
  return x > high ? high : x;
}

/// e^x * 2^-shift with a result that overflows only where it must.
INLINE float exp_scaled(float x, int32_t shift) {
  int32_t n;
  x = limit(x, -150.0f, 150.0f);
  const float m = nearest(x * 0x1.715476p+0f, &n);
  // ln 2 in two parts: the first has so few bits that m times it is exact.
  float r = fma1(m, -0x1.62e4p-1f, x);
  r = fma1(m, -0x1.7f7d1cp-20f, r);
  const float p =
      POLYNOMIAL(r, 0x1p-1f, 0x1.5554dep-3f, 0x1.5555bap-5f, 0x1.120b1cp-7f, 0x1.6c69eap-10f);
  return scale(fma1(r * r, p, r) + 1.0f, n - shift);
}

float mfa_air_exp(float x) { return exp_scaled(x, 0); }

float mfa_air_exp2(float x) {
  int32_t n;
  x = limit(x, -200.0f, 200.0f);
  const float f = x - nearest(x, &n);
  const float p = POLYNOMIAL(f, 0x1.62e43p-1f, 0x1.ebfbdap-3f, 0x1.c6aed4p-5f, 0x1.3b2dbcp-7f,
                             0x1.5f456ap-10f, 0x1.41d32ep-13f);
  return scale(fma1(f, p, 1.0f), n);
}

float mfa_air_exp10(float x) {
  int32_t n;
  x = limit(x, -60.0f, 60.0f);
  const float m = nearest(x * 0x1.a934fp+1f, &n);
  float r = fma1(m, -0x1.344p-2f, x);  // log10(2) in two parts
  r = fma1(m, -0x1.3509f8p-18f, r);
  const float p = POLYNOMIAL(r, 0x1.26bb1cp+1f, 0x1.53524cp+1f, 0x1.047058p+1f, 0x1.2bd6ccp+0f,
                             0x1.142a98p-1f, 0x1.a9874cp-3f, 0x1.16e4cap-4f);
  return scale(fma1(r, p, 1.0f), n);
}

/// Results below 2^-126 are not exact (0 from 2^-127 down); everything else as exp2.
/// 2^(x + rest), where `rest` is a correction of x below its last place.
INLINE float fast_power(float x, float rest) {
  const float inside = limit(x, -127.0f, 128.0f);
  rest = inside == x ? rest : 0.0f;
  x = inside;
  const float shifted = x + MAGIC;
  const float f = x - (shifted - MAGIC) + rest;
  const float p = POLYNOMIAL(f, 1.0f, 0x1.62e42ap-1f, 0x1.ebf9bcp-3f, 0x1.c6b752p-5f,
                             0x1.3cea88p-7f, 0x1.5bba0ep-10f);
  return real(bits(p) + (int32_t)((uint32_t)bits(shifted) << 23));
}

float mfa_air_fast_exp2(float x) { return fast_power(x, 0.0f); }
float mfa_air_fast_exp(float x) { return fast_power(x * 0x1.715476p+0f, 0.0f); }

/// The product with log2 10 is off by more than the specification allows; its error is put right.
float mfa_air_fast_exp10(float x) {
  const float product = x * 0x1.a934fp+1f;
  return fast_power(product, fma1(x, 0x1.2f346ep-24f, fma1(x, 0x1.a934fp+1f, -product)));
}
