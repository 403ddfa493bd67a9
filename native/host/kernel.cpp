// SPDX-License-Identifier: MIT
// Function constants by C++ type -> the bytes and the MTLDataType that Metal takes.
#include "host/kernel.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <iterator>
#include <string_view>

namespace mfa::host {

namespace {

enum : uint32_t { type_uint = 33, type_ushort = 41, type_bool = 53 };

}  // namespace

void KernelDescriptor::add(const char* name, uint32_t index, uint32_t type, uint32_t bits) {
  assert(count_ < std::size(constants_));
  constants_[count_++] = {index, type, bits, name};
}

void KernelDescriptor::set(const char* name, uint32_t index, bool value) {
  add(name, index, type_bool, value);
}

void KernelDescriptor::set(const char* name, uint32_t index, uint16_t value) {
  add(name, index, type_ushort, value);
}

void KernelDescriptor::set(const char* name, uint32_t index, uint32_t value) {
  add(name, index, type_uint, value);
}

std::string KernelDescriptor::text() const {
  std::string result;
  for (const Constant& constant : *this) {
    if (!result.empty()) result += ' ';
    result += constant.name;
    result += '=' + std::to_string(constant.bits);
  }
  return result;
}

uint64_t KernelDescriptor::block_volume() const {
  constexpr std::string_view suffix = "_simd";
  uint64_t volume = 1;
  for (const Constant& constant : *this) {
    const std::string_view name = constant.name;
    if (name.size() > suffix.size() && name.substr(name.size() - suffix.size()) == suffix)
      volume *= std::max(1u, constant.bits);
  }
  return volume;
}

bool KernelDescriptor::operator==(const KernelDescriptor& other) const {
  if (count_ != other.count_ || strcmp(function_, other.function_) != 0) return false;
  for (size_t i = 0; i < count_; ++i) {
    const Constant &a = constants_[i], &b = other.constants_[i];
    if (a.index != b.index || a.type != b.type || a.bits != b.bits) return false;
  }
  return true;
}

size_t KernelDescriptor::hash() const {
  // FNV-1a.
  uint64_t hash = 0xcbf29ce484222325;
  auto mix = [&hash](uint64_t value) { hash = (hash ^ value) * 0x100000001b3; };
  for (const char* c = function_; *c; ++c) mix((unsigned char)*c);
  for (const Constant& constant : *this) mix((uint64_t(constant.index) << 32) | constant.bits);
  return (size_t)(hash ^ hash >> 32);
}

}  // namespace mfa::host
