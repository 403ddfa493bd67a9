// SPDX-License-Identifier: MIT
// asin, acos, atan and atan2.
#include "common.h"

/// (asin x - x) / x for |x| <= 1/2, given t = x^2.
INLINE float asin_tail(float t) {
  return t * POLYNOMIAL(t, 0x1.5555c8p-3f, 0x1.3301e4p-4f, 0x1.747e4ap-5f, 0x1.8c2848p-6f,
                        0x1.596d1cp-5f);
}

// Beyond 1/2: asin x = pi/2 - 2 asin sqrt((1 - x) / 2), and acos x = 2 asin sqrt((1 - x) / 2).
float mfa_air_asin(float x) {
  const float a = absolute(x);
  const int large = a > 0.5f;
  const float t = large ? fma1(a, -0.5f, 0.5f) : a * a;
  const float s = large ? __builtin_sqrtf(t) : a;
  const float r = fma1(s, asin_tail(t), s);
  const float result = large ? fma1(r, -2.0f, -0x1.777a5cp-25f) + PI_2 : r;
  return with_sign(result, x);  // NaN from the square root where |x| > 1
}

float mfa_air_acos(float x) {
  const float a = absolute(x);
  const int large = a > 0.5f;
  const float t = large ? fma1(a, -0.5f, 0.5f) : a * a;
  const float s = large ? __builtin_sqrtf(t) : x;
  const float tail = s * asin_tail(t);
  const float near = PI_2 - (s - (-0x1.777a5cp-25f - tail));
  const float twice = 2.0f * (s + tail);
  const float far = x < 0.0f ? 2.0f * (PI_2 - (s + (tail + 0x1.777a5cp-25f))) : twice;
  const float result = large ? far : near;
  return a <= 1.0f ? result : NOT_A_NUMBER;
}

/// atan(low / high) for 0 <= low <= high: about 1 ulp.
INLINE float atan_ratio(float q) {
  const float t = q * q;
  const float p = POLYNOMIAL(t, -0x1.5554dcp-2f, 0x1.9978f4p-3f, -0x1.230ad8p-3f, 0x1.b4e10cp-4f,
                             -0x1.355672p-4f, 0x1.61fd38p-5f, -0x1.0c2b4cp-6f, 0x1.7ed09ep-9f);
  return fma1(q * t, p, q);
}

float mfa_air_atan(float x) {
  const float a = absolute(x);
  const int large = a > 1.0f;
  const float r = atan_ratio(large ? 1.0f / a : a);
  return with_sign(large ? PI_2 - (r + 0x1.777a5cp-25f) : r, x);
}

float mfa_air_atan2(float y, float x) {
  const float ax = absolute(x), ay = absolute(y);
  const int steep = ay > ax;
  float low = steep ? ax : ay, high = steep ? ay : ax;
  // Both infinite is 45 degrees, both zero is 0; tiny pairs are scaled out of the subnormals.
  const int both_infinite = low == INF;
  const int both_zero = high == 0.0f;
  low = both_infinite ? 1.0f : low;
  high = (both_infinite | both_zero) ? 1.0f : high;
  const float up = high < 0x1p-60f ? 0x1p+60f : 1.0f;
  float r = atan_ratio((low * up) / (high * up));
  r = steep ? PI_2 - (r + 0x1.777a5cp-25f) : r;
  r = bits(x) < 0 ? 2.0f * PI_2 - (r + 0x1.777a5cp-24f) : r;
  return ((x != x) | (y != y)) ? x + y : with_sign(r, y);
}
