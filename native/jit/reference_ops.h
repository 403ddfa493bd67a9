// SPDX-License-Identifier: MIT
// What the lanes of a simdgroup do together at a site of the reference path.
//
// A lane's record is an array of slots: slot 0 takes the result, slot i + 1 holds operand i. i1 is
// one byte, a vector its components one after the other, a matrix its elements 0 and 1.
#pragma once

#include <cstdint>

#include "exec/abi.h"
#include "simd/intrinsic.h"

namespace mfa::jit {

inline constexpr unsigned record_slot_bytes = 32;

enum class Element : uint8_t { i1, i8, i16, i32, i64, f16, bf16, f32 };

/// The operation of a site as mfa_site::details holds it.
struct SiteOperation {
  simd::Op op{};
  Element element = Element::i32;
  uint8_t components = 1;
  uint8_t width = 32;
  bool is_signed = false, strided = false;
  Element a = Element::f32, b = Element::f32, c = Element::f32;  // operands of a matrix multiply

  void pack(uint32_t details[4]) const {
    details[0] =
        uint32_t(op) | uint32_t(element) << 8 | uint32_t(components) << 16 | uint32_t(width) << 24;
    details[1] = uint32_t(is_signed) | uint32_t(strided) << 1;
    details[2] = uint32_t(a) | uint32_t(b) << 8 | uint32_t(c) << 16;
    details[3] = 0;
  }

  static SiteOperation unpack(const uint32_t details[4]) {
    SiteOperation out;
    out.op = simd::Op(details[0] & 255);
    out.element = Element(details[0] >> 8 & 255);
    out.components = uint8_t(details[0] >> 16);
    out.width = uint8_t(details[0] >> 24);
    out.is_signed = details[1] & 1;
    out.strided = details[1] >> 1 & 1;
    out.a = Element(details[2] & 255);
    out.b = Element(details[2] >> 8 & 255);
    out.c = Element(details[2] >> 16 & 255);
    return out;
  }
};

}  // namespace mfa::jit

extern "C" {
/// Reductions, scans, votes and shuffles.
void mfa_rt_group(const mfa_site* site, unsigned char* const* records, uint32_t active);
/// Loads, stores, makes and multiplies 8x8 matrices.
void mfa_rt_matrix(const mfa_site* site, unsigned char* const* records, uint32_t active);
/// Copies tiles between device and threadgroup memory, once for all lanes.
void mfa_rt_copy(const mfa_site* site, unsigned char* const* records, uint32_t active);
}
