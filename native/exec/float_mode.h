// SPDX-License-Identifier: MIT
// Whether float instructions of this thread take subnormal numbers for zero -> for the length of a
// scope.
#pragma once

#include <cstdint>

#if defined(__x86_64__) || defined(__i386__)
#include <xmmintrin.h>
#endif

namespace mfa::exec {

/// Both operands and results. Conversions between half and float are not concerned: a subnormal
/// half is a normal float.
class FloatMode {
 public:
  explicit FloatMode(bool flush_subnormals) : before_(read()) {
    const Register mode = flush_subnormals ? before_ | flush_bits : before_ & ~flush_bits;
    if (mode != before_) write(mode), changed_ = true;
  }
  ~FloatMode() {
    if (changed_) write(before_);
  }
  FloatMode(const FloatMode&) = delete;
  FloatMode& operator=(const FloatMode&) = delete;

 private:
#if defined(__x86_64__) || defined(__i386__)
  using Register = uint32_t;
  static constexpr Register flush_bits = 0x8040;  // flush to zero, denormals are zeros
  static Register read() { return _mm_getcsr(); }
  static void write(Register value) { _mm_setcsr(value); }
#elif defined(__aarch64__)
  using Register = uint64_t;
  static constexpr Register flush_bits = Register(1) << 24;  // FPCR.FZ
  static Register read() {
    Register value;
    asm volatile("mrs %0, fpcr" : "=r"(value));
    return value;
  }
  static void write(Register value) { asm volatile("msr fpcr, %0" : : "r"(value)); }
#else
#error "how does this CPU flush subnormal numbers?"
#endif

  Register before_;
  bool changed_ = false;
};

}  // namespace mfa::exec
