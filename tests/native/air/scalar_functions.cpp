// SPDX-License-Identifier: MIT
// Each scalar air.* function, compiled for this CPU, against the same thing written in C++.
#include <cmath>
#include <cstring>
#include <functional>
#include <vector>

#include "check.h"
#include "kernel.h"

namespace {

using Word = uint64_t;
template <class T>
Word word(T value) {
  Word bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  return bits;
}
template <class T>
T as(Word bits) {
  T value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

size_t size_of(const std::string& type) {
  return type == "i64"                      ? 8
         : type == "i32" || type == "float" ? 4
         : type == "i8" || type == "i1"     ? 1
                                            : 2;
}

/// A kernel that loads the arguments from `in`, calls the function and stores its result.
Kernel kernel_of(const std::string& name, const std::string& result,
                 const std::vector<std::string>& types) {
  std::string parameters, body, arguments;
  for (size_t i = 0; i < types.size(); ++i) {
    const std::string n = std::to_string(i), type = types[i];
    const std::string memory = type == "i1" ? "i8" : type;
    body += "  %p" + n + " = getelementptr i8, ptr addrspace(1) %in, i64 " + std::to_string(8 * i) +
            "\n";
    body += "  %m" + n + " = load " + memory + ", ptr addrspace(1) %p" + n + "\n";
    body += type == "i1" ? "  %a" + n + " = trunc i8 %m" + n + " to i1\n"
                         : "  %a" + n + " = bitcast " + type + " %m" + n + " to " + type + "\n";
    parameters += (i ? ", " : "") + type;
    arguments += (i ? ", " : "") + type + " %a" + n;
  }
  body += "  %r = call " + result + " @" + name + "(" + arguments + ")\n";
  if (result == "i1")
    body += "  %z = zext i1 %r to i8\n  store i8 %z, ptr addrspace(1) %out\n";
  else
    body += "  store " + result + " %r, ptr addrspace(1) %out\n";
  Kernel kernel =
      compile(two_buffers("declare " + result + " @" + name + "(" + parameters + ")\n", body));
  if (!kernel.error.empty()) std::fprintf(stderr, "%s: %s\n", name.c_str(), kernel.error.c_str());
  CHECK(kernel.address != nullptr);
  return kernel;
}

using Reference = std::function<Word(const Word*)>;

/// The sign of a zero that fmin returns for two zeros is not specified; any NaN is as good.
bool same(const std::string& name, const std::string& type, Word got, Word want) {
  if (type != "float") return got == want;
  if (std::isnan(as<float>(want))) return std::isnan(as<float>(got));
  return got == want || (name == "air.fmin.f32" && as<float>(got) == as<float>(want));
}

std::vector<Word> samples(const std::string& type) {
  if (type == "float") {
    std::vector<Word> out;
    for (float x : {0.0f,        -0.0f, 1.0f,  -1.0f,  0.5f,       -0.5f,    1.5f,      2.5f, -2.5f,
                    0.49999997f, 3.7f,  -3.7f, 255.4f, 300.0f,     70000.0f, 1e9f,      3e9f, -3e9f,
                    1e19f,       2e19f, 1e30f, 1e-40f, 8388609.0f, INFINITY, -INFINITY, NAN})
      out.push_back(word(x));
    return out;
  }
  if (type == "i1") return {0, 1};
  std::vector<Word> out;
  const Word mask = size_of(type) == 8 ? ~Word(0) : (Word(1) << 8 * size_of(type)) - 1;
  for (Word value : {Word(0),
                     Word(1),
                     Word(2),
                     Word(5),
                     Word(31),
                     Word(100),
                     Word(0x7f),
                     Word(0x80),
                     Word(0xff),
                     Word(0x7fff),
                     Word(0x8000),
                     Word(0xfffe),
                     Word(0x1234567),
                     Word(0x1000001),
                     Word(0x7fffffff),
                     Word(0x80000000),
                     Word(0xffffffff),
                     Word(0x7fffffffffffffff),
                     Word(0x8000000000000000),
                     Word(0x8000000001000001),
                     ~Word(0),
                     ~Word(4)})
    out.push_back(value & mask);
  return out;
}

void check_function(const std::string& name, const std::string& result,
                    const std::vector<std::string>& types, const Reference& reference) {
  const Kernel kernel = kernel_of(name, result, types);
  if (!kernel.address) return;
  const auto call = reinterpret_cast<void (*)(void*, const void*)>(kernel.address);
  std::vector<std::vector<Word>> values;
  size_t count = 1;
  for (const std::string& type : types)
    values.push_back(samples(type)), count *= values.back().size();
  for (size_t i = 0; i < count; ++i) {
    Word in[4] = {}, out = 0;
    size_t rest = i;
    for (size_t a = 0; a < types.size(); ++a) {
      in[a] = values[a][rest % values[a].size()];
      rest /= values[a].size();
    }
    call(&out, in);
    const Word want = reference(in);
    if (same(name, result, out, want)) continue;
    std::fprintf(stderr, "%s(%llx, %llx, %llx) = %llx, expected %llx\n", name.c_str(),
                 (unsigned long long)in[0], (unsigned long long)in[1], (unsigned long long)in[2],
                 (unsigned long long)out, (unsigned long long)want);
    CHECK(!"result");
    return;
  }
}

void float_functions() {
  const auto unary = [](const char* name, float (*function)(float)) {
    check_function(name, "float", {"float"},
                   [=](const Word* in) { return word(function(as<float>(in[0]))); });
  };
  unary("air.floor.f32", std::floor);
  unary("air.ceil.f32", std::ceil);
  unary("air.trunc.f32", std::trunc);
  unary("air.round.f32", std::round);
  unary("air.rint.f32", std::nearbyint);
  unary("air.fabs.f32", std::fabs);
  unary("air.sqrt.f32", std::sqrt);
  unary("air.sign.f32", [](float x) { return std::isnan(x) ? 0 : x > 0 ? 1 : x < 0 ? -1 : x; });
  unary("air.saturate.f32", [](float x) { return x > 0 ? std::fmin(x, 1.0f) : 0.0f; });
  unary("air.fract.f32", [](float x) {
    return !std::isfinite(x) ? NAN : std::fmin(x - std::floor(x), 0x1.fffffep-1f);
  });
  const auto binary = [](const char* name, float (*function)(float, float)) {
    check_function(name, "float", {"float", "float"}, [=](const Word* in) {
      const float x = as<float>(in[0]), y = as<float>(in[1]);
      return word(function(x, y));
    });
  };
  binary("air.copysign.f32", std::copysign);
  binary("air.fmod.f32", std::fmod);
  check_function("air.fmin.f32", "float", {"float", "float"}, [](const Word* in) {
    const float x = as<float>(in[0]), y = as<float>(in[1]);
    return std::isnan(x) ? in[1] : std::isnan(y) ? in[0] : word(x < y ? x : y);
  });
  check_function("air.fma.f32", "float", {"float", "float", "float"}, [](const Word* in) {
    return word(std::fma(as<float>(in[0]), as<float>(in[1]), as<float>(in[2])));
  });
}

template <class T>
void integer_functions(const std::string& type, const std::string& kind) {
  using Wide = __int128;
  const Wide low = std::numeric_limits<T>::min(), high = std::numeric_limits<T>::max();
  const int width = 8 * sizeof(T);
  const auto clamp = [=](Wide x) { return x < low ? low : x > high ? high : x; };
  const auto binary = [&](const char* op, auto function) {
    check_function(
        "air." + std::string(op) + "." + kind + "." + type, type, {type, type},
        [=](const Word* in) { return word(T(function(Wide(as<T>(in[0])), Wide(as<T>(in[1]))))); });
  };
  binary("min", [](Wide a, Wide b) { return a < b ? a : b; });
  binary("max", [](Wide a, Wide b) { return a > b ? a : b; });
  binary("add_sat", [=](Wide a, Wide b) { return clamp(a + b); });
  binary("sub_sat", [=](Wide a, Wide b) { return clamp(a - b); });
  binary("abs_diff", [](Wide a, Wide b) { return a > b ? a - b : b - a; });
  binary("hadd", [](Wide a, Wide b) { return (a + b) >> 1; });
  binary("rhadd", [](Wide a, Wide b) { return (a + b + 1) >> 1; });
  binary("mul_hi", [=](Wide a, Wide b) { return Wide((unsigned __int128)(a * b) >> width); });
  check_function("air.clamp." + kind + "." + type, type, {type, type, type}, [](const Word* in) {
    const T x = as<T>(in[0]), lower = as<T>(in[1]), upper = as<T>(in[2]);
    const T raised = x < lower ? lower : x;
    return word(raised > upper ? upper : raised);
  });
  check_function("air.mad_sat." + kind + "." + type, type, {type, type, type}, [=](const Word* in) {
    return word(T(clamp(Wide(as<T>(in[0])) * as<T>(in[1]) + as<T>(in[2]))));
  });
}

void bit_functions() {
  const auto unary = [](const char* name, auto function) {
    check_function(name, "i32", {"i32"},
                   [=](const Word* in) { return word(uint32_t(function(uint32_t(in[0])))); });
  };
  unary("air.popcount.i32", [](uint32_t x) { return __builtin_popcount(x); });
  unary("air.abs.s.i32", [](uint32_t x) { return int32_t(x) < 0 ? 0u - x : x; });
  unary("air.reverse_bits.i32", [](uint32_t x) { return __builtin_bitreverse32(x); });
  const auto counted = [](const char* name, auto function) {
    check_function(name, "i32", {"i32", "i1"}, [=](const Word* in) {
      return word(uint32_t(in[0] ? function(uint32_t(in[0])) : 32));
    });
  };
  counted("air.clz.i32", [](uint32_t x) { return __builtin_clz(x); });
  counted("air.ctz.i32", [](uint32_t x) { return __builtin_ctz(x); });
  check_function("air.rotate.i32", "i32", {"i32", "i32"}, [](const Word* in) {
    return word(__builtin_rotateleft32(uint32_t(in[0]), uint32_t(in[1])));
  });
}

template <class T>
void conversions(const std::string& type, const std::string& kind) {
  check_function("air.convert." + kind + "." + type + ".f.f32", type, {"float"},
                 [](const Word* in) {
                   const float x = as<float>(in[0]);
                   if (std::isnan(x)) return word(T(0));
                   const double low = double(std::numeric_limits<T>::min()),
                                high = double(std::numeric_limits<T>::max());
                   if (x <= low) return word(std::numeric_limits<T>::min());
                   if (x >= high) return word(std::numeric_limits<T>::max());
                   return word(T(x));
                 });
  check_function("air.convert.f.f32." + kind + "." + type, "float", {type},
                 [](const Word* in) { return word(float(as<T>(in[0]))); });
  check_function("air.convert.u.i64." + kind + "." + type, "i64", {type},
                 [](const Word* in) { return word(int64_t(as<T>(in[0]))); });
}

}  // namespace

int main() {
  float_functions();
  integer_functions<int32_t>("i32", "s");
  integer_functions<uint32_t>("i32", "u");
  integer_functions<int8_t>("i8", "s");
  integer_functions<uint16_t>("i16", "u");
  bit_functions();
  conversions<int8_t>("i8", "s");
  conversions<uint8_t>("i8", "u");
  conversions<int16_t>("i16", "s");
  conversions<uint32_t>("i32", "u");
  conversions<int32_t>("i32", "s");
  check_function("air.convert.u.i1.f.f32", "i1", {"float"},
                 [](const Word* in) { return Word(as<float>(in[0]) != 0); });
  check_function("air.convert.f.f32.u.i1", "float", {"i1"},
                 [](const Word* in) { return word(float(in[0])); });
  return report();
}
