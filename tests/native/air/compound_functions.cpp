// SPDX-License-Identifier: MIT
// air.* functions on vectors and with results in memory, compiled for this CPU: dot, all, pack,
// sincos.
#include <cmath>
#include <cstring>

#include "check.h"
#include "kernel.h"

namespace {

/// Compiles and runs a kernel on one set of inputs.
template <class Out, class In>
Out run(const char* declarations, const char* body, const In& in) {
  const Kernel kernel = compile(two_buffers(declarations, body));
  if (!kernel.error.empty()) std::fprintf(stderr, "%s%s\n", declarations, kernel.error.c_str());
  REQUIRE(kernel.address != nullptr);
  Out out = {};
  reinterpret_cast<void (*)(void*, const void*)>(kernel.address)(&out, &in);
  return out;
}

struct Floats {
  alignas(16) float x[4];
};
struct Words {
  alignas(16) uint32_t x[4];
};

void packing() {
  const char* pack = R"(
  %a = load <4 x float>, ptr addrspace(1) %in
  %r = call i32 @air.pack.unorm4x8.v4f32(<4 x float> %a)
  store i32 %r, ptr addrspace(1) %out
)";
  CHECK(run<uint32_t>("declare i32 @air.pack.unorm4x8.v4f32(<4 x float>)\n", pack,
                      Floats{{0.0f, 1.0f, 0.5f, 7.0f}}) == 0xff80ff00);
  const char* snorm = R"(
  %a = load <2 x float>, ptr addrspace(1) %in
  %r = call i32 @air.pack.snorm2x16.v2f32(<2 x float> %a)
  %u = call <2 x float> @air.unpack.snorm2x16.v2f32(i32 %r)
  store <2 x float> %u, ptr addrspace(1) %out
)";
  const auto back = run<Floats>(
      "declare i32 @air.pack.snorm2x16.v2f32(<2 x float>)\n"
      "declare <2 x float> @air.unpack.snorm2x16.v2f32(i32)\n",
      snorm, Floats{{-1.0f, 0.25f, 0, 0}});
  CHECK(back.x[0] == -1.0f && std::fabs(back.x[1] - 0.25f) < 1.0f / 32767);
}

void bit_fields() {
  const auto extract = [](const char* kind, Words in) {
    const std::string name = std::string("@air.extract_bits.") + kind + ".i32";
    const std::string body =
        "  %v = load <4 x i32>, ptr addrspace(1) %in\n  %a = extractelement <4 x i32> %v, i32 0\n"
        "  %b = extractelement <4 x i32> %v, i32 1\n  %c = extractelement <4 x i32> %v, i32 2\n"
        "  %r = call i32 " +
        name + "(i32 %a, i32 %b, i32 %c)\n  store i32 %r, ptr addrspace(1) %out\n";
    return run<uint32_t>(("declare i32 " + name + "(i32, i32, i32)\n").c_str(), body.c_str(), in);
  };
  CHECK(extract("u", {{0xabcd1234, 8, 12, 0}}) == 0xd12);
  CHECK(extract("u", {{0xabcd1234, 0, 32, 0}}) == 0xabcd1234);
  CHECK(extract("u", {{0xabcd1234, 5, 0, 0}}) == 0);
  CHECK(extract("s", {{0xabcd1234, 20, 4, 0}}) == 0xfffffffc);
  CHECK(extract("s", {{0x00000700, 8, 4, 0}}) == 7);
  const char* insert = R"(
  %v = load <4 x i32>, ptr addrspace(1) %in
  %a = extractelement <4 x i32> %v, i32 0
  %b = extractelement <4 x i32> %v, i32 1
  %c = extractelement <4 x i32> %v, i32 2
  %d = extractelement <4 x i32> %v, i32 3
  %r = call i32 @air.insert_bits.i32(i32 %a, i32 %b, i32 %c, i32 %d)
  store i32 %r, ptr addrspace(1) %out
)";
  const char* declaration = "declare i32 @air.insert_bits.i32(i32, i32, i32, i32)\n";
  CHECK(run<uint32_t>(declaration, insert, Words{{0xffffffff, 0x5, 8, 4}}) == 0xfffff5ff);
  CHECK(run<uint32_t>(declaration, insert, Words{{0x12345678, 0x5, 8, 0}}) == 0x12345678);
}

void vectors() {
  CHECK(run<float>("declare float @air.dot.v3f32(<3 x float>, <3 x float>)\n", R"(
  %a = load <3 x float>, ptr addrspace(1) %in
  %r = call float @air.dot.v3f32(<3 x float> %a, <3 x float> %a)
  store float %r, ptr addrspace(1) %out
)",
                   Floats{{1, 2, 3, 100}}) == 14.0f);
  const char* all = R"(
  %a = load <4 x i32>, ptr addrspace(1) %in
  %b = icmp ne <4 x i32> %a, zeroinitializer
  %all = call i1 @air.all.v4i1(<4 x i1> %b)
  %any = call i1 @air.any.v4i1(<4 x i1> %b)
  %x = zext i1 %all to i32
  %y = zext i1 %any to i32
  %z = shl i32 %x, 1
  %r = or i32 %z, %y
  store i32 %r, ptr addrspace(1) %out
)";
  const char* declarations =
      "declare i1 @air.all.v4i1(<4 x i1>)\ndeclare i1 @air.any.v4i1(<4 x i1>)\n";
  CHECK(run<uint32_t>(declarations, all, Words{{1, 2, 3, 4}}) == 3);
  CHECK(run<uint32_t>(declarations, all, Words{{0, 2, 0, 0}}) == 1);
  CHECK(run<uint32_t>(declarations, all, Words{{0, 0, 0, 0}}) == 0);
  const auto e = run<Floats>("declare <2 x float> @air.fast_exp2.v2f32(<2 x float>)\n", R"(
  %a = load <2 x float>, ptr addrspace(1) %in
  %r = call <2 x float> @air.fast_exp2.v2f32(<2 x float> %a)
  store <2 x float> %r, ptr addrspace(1) %out
)",
                             Floats{{3.0f, -INFINITY, 0, 0}});
  CHECK(e.x[0] == 8.0f && e.x[1] == 0.0f);
}

void results_in_memory() {
  const auto both = run<Floats>("declare float @air.sincos.f32(float, ptr)\n", R"(
  %c = alloca float
  %a = load float, ptr addrspace(1) %in
  %s = call float @air.sincos.f32(float %a, ptr %c)
  %k = load float, ptr %c
  %p = getelementptr float, ptr addrspace(1) %out, i64 1
  store float %s, ptr addrspace(1) %out
  store float %k, ptr addrspace(1) %p
)",
                                Floats{{1.0f, 0, 0, 0}});
  CHECK(std::fabs(both.x[0] - std::sin(1.0f)) < 1e-6f &&
        std::fabs(both.x[1] - std::cos(1.0f)) < 1e-6f);
  struct Parts {
    float mantissa;
    int exponent;
  };
  const auto parts =
      run<Parts>("declare float @___metal_frexp_float_pthreadint32(float, ptr)\n", R"(
  %e = alloca i32
  %a = load float, ptr addrspace(1) %in
  %m = call float @___metal_frexp_float_pthreadint32(float %a, ptr %e)
  %k = load i32, ptr %e
  %p = getelementptr i32, ptr addrspace(1) %out, i64 1
  store float %m, ptr addrspace(1) %out
  store i32 %k, ptr addrspace(1) %p
)",
                 Floats{{12.0f, 0, 0, 0}});
  CHECK(parts.mantissa == 0.75f && parts.exponent == 4);
}

}  // namespace

int main() {
  packing();
  bit_fields();
  vectors();
  results_in_memory();
  return report();
}
