// SPDX-License-Identifier: MIT
// MTLDataType numbers -> names and sizes of the types a function constant can have.
#include <cstddef>
#include <iterator>

#include "host/library.h"

namespace mfa::host {

namespace {

// Each scalar type is followed by its vectors of 2, 3 and 4.
struct Scalar {
  uint32_t type;
  size_t size;
  const char* name;
};
constexpr Scalar scalars[] = {
    {3, 4, "float"},  {16, 2, "half"},   {29, 4, "int"},   {33, 4, "uint"},
    {37, 2, "short"}, {41, 2, "ushort"}, {45, 1, "char"},  {49, 1, "uchar"},
    {53, 1, "bool"},  {81, 8, "long"},   {85, 8, "ulong"}, {121, 2, "bfloat"},
};

const Scalar* scalar_of(uint32_t type) {
  for (const Scalar& scalar : scalars)
    if (type >= scalar.type && type < scalar.type + 4) return &scalar;
  return nullptr;
}

}  // namespace

size_t constant_size(uint32_t type) {
  const Scalar* scalar = scalar_of(type);
  if (!scalar) return 0;
  size_t width = type - scalar->type + 1;
  return scalar->size * (width == 3 ? 4 : width);
}

std::string type_name(uint32_t type) {
  const Scalar* scalar = scalar_of(type);
  if (!scalar) return "type " + std::to_string(type);
  std::string name = scalar->name;
  return type == scalar->type ? name : name + std::to_string(type - scalar->type + 1);
}

}  // namespace mfa::host
