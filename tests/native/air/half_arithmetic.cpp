// SPDX-License-Identifier: MIT
// half and bfloat operations of a kernel, compiled for this CPU: one rounding each.
#include <cmath>
#include <cstring>
#include <functional>

#include "check.h"
#include "kernel.h"

namespace {

float from_bfloat(uint16_t bits) {
  const uint32_t wide = uint32_t(bits) << 16;
  float x;
  std::memcpy(&x, &wide, sizeof x);
  return x;
}
float from_half(uint16_t bits) {
  _Float16 x;
  std::memcpy(&x, &bits, sizeof x);
  return float(x);
}
/// The nearest value with `mantissa` bits after the point and the smallest exponent `low`, ties to
/// even.
double rounded(double x, int mantissa, int low, double largest) {
  if (x == 0 || !std::isfinite(x)) return x;
  const int exponent = std::max(std::ilogb(x), low);
  const double unit = std::ldexp(1.0, exponent - mantissa);
  const double y = std::nearbyint(x / unit) * unit;
  return std::fabs(y) > largest ? std::copysign(INFINITY, x) : y;
}

struct Format {
  const char *type, *suffix;
  float (*widen)(uint16_t);
  int mantissa, low;
  double largest;
  Bfloat bfloat = Bfloat::native;
  double smallest = 0x1p-125;  // a CPU's own bfloat rounding takes subnormals for 0
};
const Format kHalf = {"half", "f16", from_half, 10, -14, 65504.0};
const Format kBfloat = {"bfloat", "bf16", from_bfloat, 7, -126, 0x1.fep127};
const Format kPlainBfloat = {"bfloat", "bf16", from_bfloat, 7, -126, 0x1.fep127, Bfloat::plain, 0};

Kernel kernel_of(const std::string& declaration, const std::string& result, const std::string& type,
                 const std::string& expression, Bfloat bfloat) {
  Kernel kernel = compile(two_buffers(declaration,
                                      "  %p = getelementptr i8, ptr addrspace(1) %in, i64 2\n"
                                      "  %q = getelementptr i8, ptr addrspace(1) %in, i64 4\n"
                                      "  %a = load " +
                                          type + ", ptr addrspace(1) %in\n" + "  %b = load " +
                                          type + ", ptr addrspace(1) %p\n" + "  %c = load " + type +
                                          ", ptr addrspace(1) %q\n" + expression + "  store " +
                                          result + " %r, ptr addrspace(1) %out\n"),
                          {}, bfloat);
  if (!kernel.error.empty())
    std::fprintf(stderr, "%s: %s\n", expression.c_str(), kernel.error.c_str());
  CHECK(kernel.address != nullptr);
  return kernel;
}

uint64_t random_state = 7;
uint16_t random_half() {
  random_state = random_state * 6364136223846793005u + 1442695040888963407u;
  return uint16_t(random_state >> 40);
}

void check_operation(const Format& format, const std::string& declaration,
                     const std::string& expression,
                     const std::function<double(double, double, double)>& reference) {
  const Kernel kernel = kernel_of(declaration, format.type, format.type, expression, format.bfloat);
  if (!kernel.address) return;
  const auto call = reinterpret_cast<void (*)(uint16_t*, const uint16_t*)>(kernel.address);
  for (int i = 0; i < 200000; ++i) {
    const uint16_t in[3] = {random_half(), random_half(), random_half()};
    const double a = format.widen(in[0]), b = format.widen(in[1]), c = format.widen(in[2]);
    uint16_t out = 0;
    call(&out, in);
    const double got = format.widen(out);
    const double want = rounded(reference(a, b, c), format.mantissa, format.low, format.largest);
    if (std::fabs(want) < format.smallest || std::isnan(want)) continue;
    if (got == want) continue;
    std::fprintf(stderr, "%s %s of %a %a %a = %a, expected %a\n", format.type, expression.c_str(),
                 a, b, c, got, want);
    CHECK(!"result");
    return;
  }
}

void operations(const Format& format) {
  const std::string type = format.type;
  for (const auto& [name, function] : {std::pair<const char*, double (*)(double, double)>(
                                           "fadd", [](double a, double b) { return a + b; }),
                                       {"fsub", [](double a, double b) { return a - b; }},
                                       {"fmul", [](double a, double b) { return a * b; }},
                                       {"fdiv", [](double a, double b) { return a / b; }}}) {
    const auto reference = function;
    check_operation(format, "", std::string("  %r = ") + name + " " + type + " %a, %b\n",
                    [=](double a, double b, double) { return reference(a, b); });
  }
  const auto call = [&](const std::string& name, int arity) {
    std::string types, arguments;
    for (int i = 0; i < arity; ++i) {
      types += (i ? ", " : "") + type;
      arguments += (i ? ", " : "") + type + " %" + char('a' + i);
    }
    return std::pair("declare " + type + " @" + name + "(" + types + ")\n",
                     "  %r = call " + type + " @" + name + "(" + arguments + ")\n");
  };
  const std::string suffix = format.suffix;
  const auto operation = [&](const std::string& name, int arity, auto reference) {
    const auto [declaration, expression] = call(name, arity);
    check_operation(format, declaration, expression, reference);
  };
  operation("air.fabs." + suffix, 1, [](double a, double, double) { return std::fabs(a); });
  operation("air.floor." + suffix, 1, [](double a, double, double) { return std::floor(a); });
  operation("air.rint." + suffix, 1, [](double a, double, double) { return std::nearbyint(a); });
  operation("air.sqrt." + suffix, 1, [](double a, double, double) { return std::sqrt(a); });
  operation("air.fmax." + suffix, 2, [](double a, double b, double) { return std::fmax(a, b); });
  operation("air.fmod." + suffix, 2, [](double a, double b, double) { return std::fmod(a, b); });
  // Two operations stay two roundings: nothing may cancel the rounding in between.
  check_operation(format, "", "  %t = fmul " + type + " %a, %b\n  %r = fadd " + type + " %t, %c\n",
                  [&](double a, double b, double c) {
                    const double t = rounded(a * b, format.mantissa, format.low, format.largest);
                    return std::fabs(t) < format.smallest ? NAN : t + c;
                  });
}

/// Integers of all magnitudes -> the 16-bit format, rounded once.
void conversions(const Format& format) {
  for (const char* kind : {"s.i64", "u.i64", "s.i32", "u.i32", "u.i8"}) {
    const std::string type = std::string(kind).substr(2);
    const std::string name = std::string("air.convert.f.") + format.suffix + "." + kind;
    const Kernel kernel = kernel_of(
        "declare " + std::string(format.type) + " @" + name + "(" + type + ")\n", format.type, type,
        "  %r = call " + std::string(format.type) + " @" + name + "(" + type + " %a)\n",
        format.bfloat);
    if (!kernel.address) return;
    const auto call = reinterpret_cast<void (*)(uint16_t*, const uint64_t*)>(kernel.address);
    for (int i = 0; i < 100000; ++i) {
      uint64_t bits = 0;
      for (int part = 0; part < 4; ++part) bits = bits << 16 | random_half();
      bits >>= random_half() & 63;
      // Close to the middle between two results, where a second rounding would show.
      if (i % 2) bits = (bits & ~uint64_t(0xffff)) | (i & 0xff ? 1 : 0x8000);
      const uint64_t in[2] = {bits, 0};
      const long double exact = kind[0] == 's'
                                    ? (type == "i64" ? (long double)int64_t(bits) : int32_t(bits))
                                    : (type == "i64"   ? (long double)bits
                                       : type == "i32" ? uint32_t(bits)
                                                       : uint8_t(bits));
      uint16_t out = 0;
      call(&out, in);
      // As in rounded(), in long double: a double cannot hold every i64.
      const int exponent = exact == 0 ? 0 : std::ilogb(exact);
      const long double unit = std::ldexp(1.0L, exponent - format.mantissa);
      long double want = std::nearbyint(exact / unit) * unit;
      if (std::fabs(want) > format.largest) want = std::copysign(INFINITY, exact);
      if (format.widen(out) == want) continue;
      std::fprintf(stderr, "%s(%llx) = %a, expected %La\n", name.c_str(), (unsigned long long)bits,
                   double(format.widen(out)), want);
      CHECK(!"result");
      return;
    }
  }
}

}  // namespace

int main() {
  conversions(kHalf);
  conversions(kBfloat);
  conversions(kPlainBfloat);
  operations(kHalf);
  operations(kBfloat);
  operations(kPlainBfloat);
  // The sum of a half product and a half is exact in double wherever its rounding matters.
  check_operation(kHalf, "declare half @air.fma.f16(half, half, half)\n",
                  "  %r = call half @air.fma.f16(half %a, half %b, half %c)\n",
                  [](double a, double b, double c) { return a * b + c; });
  return report();
}
