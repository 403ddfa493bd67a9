// SPDX-License-Identifier: MIT
// Kernels with and without air.compile.denorms_disable -> subnormal floats are zero, or themselves.
#include <cfloat>
#include <cmath>

#include "check.h"
#include "runner.h"

namespace {

const std::vector<std::string> arguments = {buffer_argument(0, 0, 1), buffer_argument(1, 1, 1),
                                            builtin_argument(2, "thread_position_in_grid")};
constexpr uint32_t threads = 4096;  // enough to wake other workers

std::string option(const char* name) {
  if (!*name) return "";
  return std::string("!air.compile_options = !{!90}\n!90 = !{!\"air.compile.") + name + "\"}\n";
}

/// out[t] = what `body` makes of %x = in[t], both of `type`.
template <class T>
std::vector<T> run(Path path, const char* compile_option, const std::string& type,
                   const std::string& body, const std::vector<T>& in) {
  const std::string text = R"(
declare void @air.wg.barrier(i32, i32) #0
define void @k(ptr addrspace(1) %out, ptr addrspace(1) %in, i32 %t) {
  call void @air.wg.barrier(i32 2, i32 1) #0
  %w = zext i32 %t to i64
  %from = getelementptr )" +
                           type +
                           R"(, ptr addrspace(1) %in, i64 %w
  %to = getelementptr )" + type +
                           R"(, ptr addrspace(1) %out, i64 %w
  %x = load )" + type + R"(, ptr addrspace(1) %from
)" + body + "  store " + type +
                           R"( %y, ptr addrspace(1) %to
  ret void
}
attributes #0 = { convergent nounwind willreturn }
)" + option(compile_option);
  std::vector<Bytes> buffers = {bytes_of(std::vector<T>(in.size())), bytes_of(in)};
  const std::string error = run_kernel(path, text + kernel_metadata(arguments), buffers,
                                       Grid{{threads, 1, 1}, {64, 1, 1}});
  if (!error.empty()) fprintf(stderr, "%s: %s\n", name_of(path), error.c_str());
  REQUIRE(error.empty());
  return values_of<T>(buffers[0]);
}

std::vector<float> tiny() {
  std::vector<float> x(threads);
  for (uint32_t i = 0; i < threads; ++i)
    x[i] = ldexpf(i % 2 ? -1.0f : 1.0f, -120 - int(i % 29)) * 1.25f;
  return x;
}

bool subnormal(float x) { return std::fabs(x) < FLT_MIN && x != 0; }

/// A zero of the same sign; what is no subnormal stays.
float flushed(float x) { return subnormal(x) ? std::copysign(0.0f, x) : x; }

bool same(float x, float y) { return x == y && std::signbit(x) == std::signbit(y); }

void operands_and_results(Path path, const char* option, bool flush) {
  const std::vector<float> x = tiny();
  const auto halves = run(path, option, "float", "  %y = fmul float %x, 5.000000e-01\n", x);
  const auto large = run(path, option, "float", "  %y = fmul float %x, 0x47D0000000000000\n", x);
  for (uint32_t i = 0; i < threads; ++i) {
    const float operand = flush ? flushed(x[i]) : x[i];
    REQUIRE(same(halves[i], flush ? flushed(operand * 0.5f) : operand * 0.5f));
    REQUIRE(same(large[i], operand * 0x1p126f));
  }
}

void moves_and_halves_keep_theirs(Path path, const char* option) {
  const std::vector<float> x = tiny();
  const auto moved = run(path, option, "float", "  %y = fneg float %x\n", x);
  for (uint32_t i = 0; i < threads; ++i) REQUIRE(same(moved[i], -x[i]));
  std::vector<uint16_t> halves(threads);
  for (uint32_t i = 0; i < threads; ++i) halves[i] = uint16_t(i % 0x400 | (i % 2) << 15);
  // Twice a subnormal half has the same digits, one place further up.
  const auto twice = run(path, option, "half", "  %y = fadd half %x, %x\n", halves);
  for (uint32_t i = 0; i < threads; ++i)
    REQUIRE(twice[i] == ((halves[i] & 0x7fff) * 2 | (halves[i] & 0x8000)));
}

}  // namespace

int main() {
  for (Path path : both_paths) {
    for (const char* option : {"", "denorms_enable", "fast_math_enable"}) {
      operands_and_results(path, option, false);
      moves_and_halves_keep_theirs(path, option);
    }
    operands_and_results(path, "denorms_disable", true);
    moves_and_halves_keep_theirs(path, "denorms_disable");
    // The thread that waited computes as before.
    volatile float least = FLT_MIN;
    REQUIRE(subnormal(least / 2));
  }
  return 0;
}
