// SPDX-License-Identifier: MIT
// Numbers of a type known at run time <-> values to compute with.
#pragma once

#include <cstdint>
#include <cstring>

#include "jit/reference_ops.h"

namespace mfa::jit {

inline unsigned element_bytes(Element element) {
  switch (element) {
    case Element::i1:
    case Element::i8:
      return 1;
    case Element::i16:
    case Element::f16:
    case Element::bf16:
      return 2;
    case Element::i32:
    case Element::f32:
      return 4;
    case Element::i64:
      return 8;
  }
  return 0;
}

inline bool is_float(Element element) { return element >= Element::f16; }

inline uint64_t load_integer(const unsigned char* from, Element element) {
  uint64_t value = 0;
  memcpy(&value, from, element_bytes(element));
  return value;
}

inline void store_integer(unsigned char* to, Element element, uint64_t value) {
  memcpy(to, &value, element_bytes(element));
}

inline int64_t sign_extend(uint64_t value, Element element) {
  unsigned shift = 64 - 8 * element_bytes(element);
  return int64_t(value << shift) >> shift;
}

inline float load_float(const unsigned char* from, Element element) {
  if (element == Element::f32) {
    float value;
    memcpy(&value, from, 4);
    return value;
  }
  uint16_t bits;
  memcpy(&bits, from, 2);
  if (element == Element::bf16) {
    uint32_t wide = uint32_t(bits) << 16;
    float value;
    memcpy(&value, &wide, 4);
    return value;
  }
  _Float16 half;
  memcpy(&half, &bits, 2);
  return float(half);
}

/// Rounds to nearest even.
inline void store_float(unsigned char* to, Element element, float value) {
  if (element == Element::f32) {
    memcpy(to, &value, 4);
  } else if (element == Element::f16) {
    _Float16 half = _Float16(value);
    memcpy(to, &half, 2);
  } else {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
    uint16_t high =
        uint16_t((is_nan ? bits | 0x400000u : bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
    memcpy(to, &high, 2);
  }
}

}  // namespace mfa::jit
