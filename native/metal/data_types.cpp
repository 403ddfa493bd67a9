// SPDX-License-Identifier: MIT
// The table of Metal's scalar types; vectors follow their scalar.
#include "metal/data_types.h"

namespace mfa::metal {
namespace {

struct Scalar {
  uint8_t first;  // the number of the scalar; its 2-, 3- and 4-vectors are the next three
  uint8_t size;
  const char* name;
};

constexpr Scalar scalars[] = {
    {3, 4, "float"},  {16, 2, "half"},   {29, 4, "int"},   {33, 4, "uint"},
    {37, 2, "short"}, {41, 2, "ushort"}, {45, 1, "char"},  {49, 1, "uchar"},
    {53, 1, "bool"},  {81, 8, "long"},   {85, 8, "ulong"}, {121, 2, "bfloat"},
};

const Scalar* find(uint64_t type) {
  for (const Scalar& scalar : scalars) {
    if (type >= scalar.first && type < scalar.first + 4u) return &scalar;
  }
  return nullptr;
}

}  // namespace

std::string data_type_name(uint64_t type) {
  const Scalar* scalar = find(type);
  if (!scalar) return "type " + std::to_string(type);
  const uint64_t width = type - scalar->first + 1;
  return width == 1 ? scalar->name : scalar->name + std::to_string(width);
}

uint64_t data_type_of(std::string_view name) {
  if (name.empty()) return 0;
  uint64_t width = 1;
  const char last = name.back();
  if (last >= '2' && last <= '4') {
    width = static_cast<uint64_t>(last - '0');
    name.remove_suffix(1);
  }
  for (const Scalar& scalar : scalars) {
    if (name == scalar.name) return scalar.first + width - 1;
  }
  return 0;
}

size_t data_type_size(uint64_t type) {
  const Scalar* scalar = find(type);
  if (!scalar) return 0;
  const size_t width = type - scalar->first + 1;
  return scalar->size * (width == 3 ? 4 : width);
}

}  // namespace mfa::metal
