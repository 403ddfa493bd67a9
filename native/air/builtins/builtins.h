// SPDX-License-Identifier: MIT
// The elementary functions as C sees them, for tests.
#pragma once

#include <stdint.h>

#define MFA_AIR_UNARY(each)                                                                       \
  each(exp) each(exp2) each(exp10) each(log) each(log2) each(log10) each(sin) each(cos) each(tan) \
      each(asin) each(acos) each(atan) each(sinh) each(cosh) each(tanh) each(asinh) each(acosh)   \
          each(atanh) each(sinpi) each(cospi) each(tanpi) each(frexp) each(fast_exp)              \
              each(fast_exp2) each(fast_exp10) each(fast_log) each(fast_log2) each(fast_log10)    \
                  each(fast_sin) each(fast_cos) each(fast_tan) each(fast_tanh)
#define MFA_AIR_BINARY(each) \
  each(atan2) each(pow) each(powr) each(fmod) each(nextafter) each(fast_powr)

#ifdef __cplusplus
extern "C" {
#endif
#define MFA_AIR_DECLARE(name) float mfa_air_##name(float x);
MFA_AIR_UNARY(MFA_AIR_DECLARE)
#undef MFA_AIR_DECLARE
#define MFA_AIR_DECLARE(name) float mfa_air_##name(float x, float y);
MFA_AIR_BINARY(MFA_AIR_DECLARE)
#undef MFA_AIR_DECLARE
float mfa_air_ldexp(float x, int32_t n);
int32_t mfa_air_frexp_exponent(float x);
int32_t mfa_air_ilogb(float x);
#ifdef __cplusplus
}
#endif
