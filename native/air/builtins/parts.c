// SPDX-License-Identifier: MIT
// Functions of the bits: ldexp, frexp, nextafter, fmod.
#include "common.h"

INLINE int32_t clamp(int32_t n, int32_t low, int32_t high) {
  n = n < low ? low : n;
  return n > high ? high : n;
}

float mfa_air_ldexp(float x, int32_t n) {
  // Factors of at most 2^126, the full one last: a result that is not 0 rounds once.
  const int32_t first = clamp(n, -126, 126);
  const int32_t second = clamp(clamp(n, -300, 300) - first, -126, 126);
  const int32_t third = clamp(n, -300, 300) - first - second;
  return x * power_of_two(third) * power_of_two(second) * power_of_two(first);
}

INLINE int32_t exponent(float x) {
  const int small = absolute(x) < 0x1p-126f;
  const float y = small ? x * 0x1p+25f : x;
  return ((bits(y) >> 23) & 0xff) - 126 - (small ? 25 : 0);
}

float mfa_air_frexp(float x) {
  const float y = absolute(x) < 0x1p-126f ? x * 0x1p+25f : x;
  const float mantissa = real((bits(y) & (int32_t)0x807fffff) | 0x3f000000);
  return x == 0.0f || !(absolute(x) < INF) ? x : mantissa;
}
int32_t mfa_air_frexp_exponent(float x) {
  return x == 0.0f || !(absolute(x) < INF) ? 0 : exponent(x);
}

int32_t mfa_air_ilogb(float x) {
  const int32_t result = absolute(x) < INF ? exponent(x) - 1 : (x == x ? INT32_MAX : INT32_MIN);
  return x == 0.0f ? INT32_MIN : result;
}

float mfa_air_nextafter(float x, float y) {
  const int32_t i = bits(x);
  const int away = (x < y) ^ (i < 0);
  const float stepped = real(i + (away ? 1 : -1));
  const float smallest = with_sign(real(1), y);
  const float result = x == 0.0f ? smallest : stepped;
  return ((x != x) | (y != y)) ? x + y : (x == y ? y : result);
}

/// Exact: the mantissa of x, shifted left by the difference of the exponents in steps of 28 bits,
/// each step reduced by the mantissa of y. All integers below 2^52, so double holds them.
float mfa_air_fmod(float x, float y) {
  const float ax = absolute(x), ay = absolute(y);
  const int valid = (ax < INF) & (ay > 0.0f) & (ay == ay);
  const int done = (ax < ay) | !valid;
  const float by = (done | (ay == INF)) ? 1.0f : ay, bx = done ? 1.0f : ax;
  const int32_t ex = exponent(bx), ey = exponent(by);
  const double my = (double)by * __builtin_bit_cast(double, (int64_t)(24 - ey + 1023) << 52);
  double r = (double)bx * __builtin_bit_cast(double, (int64_t)(24 - ex + 1023) << 52);
  const double inverse = 1.0 / my;
  int32_t left = ex - ey;
#pragma clang loop unroll(full)
  for (int i = 0; i < 10; ++i) {
    const int32_t step = left < 28 ? left : 28;
    left -= step;
    r *= __builtin_bit_cast(double, (int64_t)(step + 1023) << 52);
    const double q = (r * inverse + 0x1.8p+52) - 0x1.8p+52;
    r = __builtin_fma(-q, my, r);  // between -my and my, because q was rounded to nearest
    r = r < 0.0 ? r + my : r;
  }
  const float reduced = (float)(r * __builtin_bit_cast(double, (int64_t)(ey - 24 + 1023) << 52));
  const float result = with_sign(done ? ax : reduced, x);
  return valid ? result : NOT_A_NUMBER;
}
