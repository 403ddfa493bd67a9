// SPDX-License-Identifier: MIT
// The functions generated code may call.
#include "jit/symbols.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>

#include "exec/abi.h"
#include "jit/reference_ops.h"

namespace mfa::jit {
namespace {

// Conversions that CPUs without the instructions do by a call. The C library of the compiler that
// built this process may be too old to have them, so they are here.
float widen_half(_Float16 value) { return float(value); }
_Float16 narrow_to_half(float value) { return _Float16(value); }

__bf16 narrow_to_bfloat(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
  // Round to nearest even; a NaN stays one.
  uint32_t rounded = is_nan ? bits | 0x400000u : bits + 0x7fffu + (bits >> 16 & 1u);
  uint16_t high = uint16_t(rounded >> 16);
  __bf16 result;
  memcpy(&result, &high, 2);
  return result;
}

template <class F>
void* address(F* function) {
  return reinterpret_cast<void*>(function);
}

using Float1 = float(float);
using Float2 = float(float, float);

const std::pair<std::string_view, void*> table[] = {
    {"mfa_rt_barrier", address(&mfa_rt_barrier)},
    {"mfa_rt_meet", address(&mfa_rt_meet)},
    {"mfa_rt_access", address(&mfa_rt_access)},
    {"mfa_rt_group", address(&mfa_rt_group)},
    {"mfa_rt_matrix", address(&mfa_rt_matrix)},
    {"mfa_rt_copy", address(&mfa_rt_copy)},
    {"memcpy", address(&memcpy)},
    {"memmove", address(&memmove)},
    {"memset", address(&memset)},
    {"__extendhfsf2", address(&widen_half)},
    {"__gnu_h2f_ieee", address(&widen_half)},
    {"__truncsfhf2", address(&narrow_to_half)},
    {"__gnu_f2h_ieee", address(&narrow_to_half)},
    {"__truncsfbf2", address(&narrow_to_bfloat)},
    {"expf", address<Float1>(&expf)},
    {"exp2f", address<Float1>(&exp2f)},
    {"logf", address<Float1>(&logf)},
    {"log2f", address<Float1>(&log2f)},
    {"log10f", address<Float1>(&log10f)},
    {"powf", address<Float2>(&powf)},
    {"sinf", address<Float1>(&sinf)},
    {"cosf", address<Float1>(&cosf)},
    {"tanf", address<Float1>(&tanf)},
    {"fmodf", address<Float2>(&fmodf)},
    {"fminf", address<Float2>(&fminf)},
    {"fmaxf", address<Float2>(&fmaxf)},
    {"floorf", address<Float1>(&floorf)},
    {"ceilf", address<Float1>(&ceilf)},
    {"truncf", address<Float1>(&truncf)},
    {"roundf", address<Float1>(&roundf)},
    {"rintf", address<Float1>(&rintf)},
    {"nearbyintf", address<Float1>(&nearbyintf)},
    {"roundevenf", address<Float1>(&rintf)},  // workers run in round-to-nearest-even
    {"fmaf", address<float(float, float, float)>(&fmaf)},
    // Of CPUs without FMA or SSE4.1; results of float are computed in double here and there.
    {"fma", address<double(double, double, double)>(&fma)},
    {"floor", address<double(double)>(&floor)},
    {"ceil", address<double(double)>(&ceil)},
    {"trunc", address<double(double)>(&trunc)},
    {"rint", address<double(double)>(&rint)},
    {"nearbyint", address<double(double)>(&nearbyint)},
    {"roundeven", address<double(double)>(&rint)},
};

}  // namespace

void* find_symbol(std::string_view name) {
  for (auto [known, where] : table)
    if (known == name) return where;
  return nullptr;
}

}  // namespace mfa::jit
