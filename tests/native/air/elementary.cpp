// SPDX-License-Identifier: MIT
// Every elementary function of air/builtins over floats of all magnitudes against double libm.
//
// The bounds are those of the Metal Shading Language specification (table of ULP for single
// precision); the fast forms have no relative bound near their zeros, so they get an absolute one.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include "air/builtins/builtins.h"

namespace {

float real(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

/// Distance of `got` from `want` in units of the last place of a float near `want`.
double ulps(float got, double want) {
  const float rounded = float(want);
  if (std::isnan(want)) return std::isnan(got) ? 0 : INFINITY;
  if (std::isnan(got)) return INFINITY;
  if (got == rounded) return 0;
  if (std::isinf(got) || std::isinf(rounded)) {
    // One step over the largest float, in units of the last binade.
    const double edge = std::isinf(got) ? std::copysign(0x1p128, got) : got;
    const double goal = std::isinf(want) ? std::copysign(0x1p128, want) : want;
    return std::fabs(edge - goal) / 0x1p104;
  }
  const int exponent = std::fmax(std::ilogb(want), -126);
  return std::fabs(got - want) / std::ldexp(1.0, exponent - 23);
}

int failures = 0;

struct Worst {
  double ulp = 0, absolute = 0;
  float x = 0, y = 0;
  void add(float got, double want, float at_x, float at_y, double floor) {
    const double distance = std::fabs(got - want);
    const double error = distance <= floor ? 0 : ulps(got, want);
    if (std::isfinite(distance)) absolute = std::fmax(absolute, distance);
    if (error > ulp) ulp = error, x = at_x, y = at_y;
  }
  void report(const char* name, double bound) const {
    const bool ok = ulp <= bound;
    failures += !ok;
    std::printf("%-12s %8.2f ulp of %6.0f  at %a %a%s\n", name, ulp, bound, x, y,
                ok ? "" : "  FAILED");
  }
};

/// `floor`: an absolute error that is allowed whatever the ulps (fast forms).
void unary(const char* name, float (*function)(float), double (*reference)(double), double bound,
           double floor = 0, float limit = INFINITY, uint32_t step = 4099) {
  Worst worst;
  const auto add = [&](float x) {
    // A fast form may take subnormals for 0 and anything for NaN.
    if (floor != 0 && (std::isnan(x) || (x != 0 && std::fabs(x) < 0x1p-126f))) return;
    if (!(std::fabs(x) > limit)) worst.add(function(x), reference(x), x, 0, floor);
  };
  for (uint64_t i = 0; i <= 0xffffffff; i += step) add(real(uint32_t(i)));
  for (uint32_t special : {0u, 0x80000000u, 0x7f800000u, 0xff800000u, 0x7fc00000u, 1u, 0x80000001u,
                           0x007fffffu, 0x00800000u, 0x3f800000u, 0xbf800000u, 0x7f7fffffu})
    add(real(special));
  // Around 1, and around the thresholds of exp.
  for (int i = -2000; i < 2000; ++i) {
    add(real(uint32_t(0x3f800000 + i)));
    add(float(i) * 0.06125f);
    add(float(i) * 0.5f);
  }
  worst.report(name, bound);
}

void binary(const char* name, float (*function)(float, float), double (*reference)(double, double),
            double bound, bool positive = false) {
  Worst worst;
  const auto add = [&](float x, float y) {
    if (positive) x = std::fabs(x);
    worst.add(function(x, y), reference(x, y), x, y, 0);
  };
  const float special[] = {0.0f,      -0.0f,       1.0f,        -1.0f,   INFINITY,        -INFINITY,
                           NAN,       0.5f,        -0.5f,       2.0f,    -2.0f,           3.0f,
                           -3.0f,     2.5f,        -2.5f,       0x1p24f, 0x1.fffffep127f, 0x1p-149f,
                           0x1p-126f, 16777215.0f, -16777215.0f};
  for (float x : special)
    for (float y : special) add(x, y);
  uint64_t state = 1;
  const auto random = [&] {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return uint32_t(state >> 32);
  };
  for (int i = 0; i < 400000; ++i) {
    const uint32_t a = random(), b = random();
    add(real(a), real(b));
    // Ordinary magnitudes: 2^-16 to 2^16.
    const auto near = [](uint32_t v) {
      return real((v & 0x80ffffffu) | (0x38000000u + ((v >> 24 & 31) << 22)));
    };
    add(near(a), near(b));
    add(std::fabs(near(a)), near(b));
    add(near(a), float(int(b % 41) - 20));
  }
  worst.report(name, bound);
}

double sinpi(double x) {
  const double r = std::remainder(x, 2.0);
  if (r == std::trunc(r)) return std::copysign(0.0, x);
  if (std::fabs(r) == 0.5) return r * 2;
  return std::fabs(r) > 0.5 ? std::copysign(std::sin(M_PI * (1 - std::fabs(r))), r)
                            : std::sin(M_PI * r);
}
double cospi(double x) {
  if (std::isinf(x)) return NAN;
  const double r = std::fabs(std::remainder(x, 2.0));
  return r == 0.5 ? 0.0 : r > 0.5 ? -sinpi(r - 0.5) : std::cos(M_PI * r);
}
double sinpi_any(double x) { return std::isinf(x) ? NAN : sinpi(x); }
double tanpi(double x) {
  if (std::isinf(x)) return NAN;
  const double c = cospi(x), s = sinpi(x);
  return c == 0 ? std::copysign(INFINITY, s) : s / c;
}
double frexp_mantissa(double x) {
  int exponent;
  return std::frexp(x, &exponent);
}
double power_or_nan(double x, double y) {
  if (x == 0 && y == 0) return NAN;
  if (std::isinf(x) && y == 0) return NAN;
  if (x == 1 && std::isinf(y)) return NAN;
  if (std::isnan(x) || std::isnan(y)) return NAN;
  return std::pow(std::fabs(x), y);
}
double next(double x, double y) { return std::nextafterf(float(x), float(y)); }

void scaling() {
  Worst worst;
  for (int n = -310; n <= 310; ++n)
    for (uint32_t i = 0; i < 0xff000000u; i += 0x00345677u)
      worst.add(mfa_air_ldexp(real(i), n), std::ldexp(double(real(i)), n), real(i), float(n), 0);
  worst.report("ldexp", 0.5);
  for (uint32_t i = 0; i < 0x7f800000u; i += 40009) {
    int exponent;
    std::frexp(real(i), &exponent);
    failures += exponent != mfa_air_frexp_exponent(real(i));
    if (i != 0) failures += std::ilogb(real(i)) != mfa_air_ilogb(real(i));
  }
}

}  // namespace

int main() {
  unary("exp", mfa_air_exp, std::exp, 4);
  unary("exp2", mfa_air_exp2, std::exp2, 4);
  unary("exp10", mfa_air_exp10, [](double x) { return std::pow(10.0, x); }, 4);
  unary("log", mfa_air_log, std::log, 4);
  unary("log2", mfa_air_log2, std::log2, 4);
  unary("log10", mfa_air_log10, std::log10, 4);
  unary("sin", mfa_air_sin, std::sin, 4);
  unary("cos", mfa_air_cos, std::cos, 4);
  unary("tan", mfa_air_tan, std::tan, 6);
  unary("asin", mfa_air_asin, std::asin, 4);
  unary("acos", mfa_air_acos, std::acos, 4);
  unary("atan", mfa_air_atan, std::atan, 5);
  unary("sinh", mfa_air_sinh, std::sinh, 4);
  unary("cosh", mfa_air_cosh, std::cosh, 4);
  unary("tanh", mfa_air_tanh, std::tanh, 5);
  unary("asinh", mfa_air_asinh, std::asinh, 4);
  unary("acosh", mfa_air_acosh, std::acosh, 4);
  unary("atanh", mfa_air_atanh, std::atanh, 5);
  unary("sinpi", mfa_air_sinpi, sinpi_any, 4);
  unary("cospi", mfa_air_cospi, cospi, 4);
  unary("tanpi", mfa_air_tanpi, tanpi, 6);
  unary("frexp", mfa_air_frexp, frexp_mantissa, 0);
  binary("atan2", mfa_air_atan2, std::atan2, 6);
  binary("pow", mfa_air_pow, std::pow, 16);
  binary("powr", mfa_air_powr, power_or_nan, 16, true);
  binary("fmod", mfa_air_fmod, std::fmod, 0);
  binary("nextafter", mfa_air_nextafter, next, 0);
  scaling();
  // exp: 3 + floor(|2x|) ulp, 180 at the largest x; results below 2^-126 may be flushed.
  unary("fast_exp", mfa_air_fast_exp, std::exp, 180, 0x1p-126);
  unary("fast_exp2", mfa_air_fast_exp2, std::exp2, 4, 0x1p-126);
  unary(
      "fast_exp10", mfa_air_fast_exp10, [](double x) { return std::pow(10.0, x); }, 180, 0x1p-126);
  unary("fast_log", mfa_air_fast_log, std::log, 4, 0x1p-21);
  unary("fast_log2", mfa_air_fast_log2, std::log2, 4, 0x1p-21);
  unary("fast_log10", mfa_air_fast_log10, std::log10, 4, 0x1p-21);
  unary("fast_sin", mfa_air_fast_sin, std::sin, 4, 0x1p-13, float(M_PI));
  unary("fast_cos", mfa_air_fast_cos, std::cos, 4, 0x1p-13, float(M_PI));
  unary("fast_tan", mfa_air_fast_tan, std::tan, 6, 0x1p-13, float(M_PI));
  unary("fast_tanh", mfa_air_fast_tanh, std::tanh, 6, 0x1p-126);
  if (failures != 0) std::printf("%d failures\n", failures);
  return failures != 0;
}
