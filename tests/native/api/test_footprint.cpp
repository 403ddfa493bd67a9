// SPDX-License-Identifier: MIT
// Footprints against a count of the bytes they name, over small shapes and strides.
#include "api/footprint.h"

#include <cstdio>
#include <map>

using mfa::api::Footprint;

namespace {

struct Shape {
  uint64_t address, rows, row_stride, columns, column_stride;
};

constexpr uint64_t element = 2;

Footprint footprint_of(const Shape& shape) {
  Footprint footprint(element);
  footprint.add(shape.columns, shape.column_stride);
  footprint.add(shape.rows, shape.row_stride);
  footprint.place(shape.address);
  return footprint;
}

/// How many elements lie on each byte.
std::map<uint64_t, int> bytes_of(const Shape& shape) {
  std::map<uint64_t, int> bytes;
  for (uint64_t r = 0; r < shape.rows; ++r)
    for (uint64_t c = 0; c < shape.columns; ++c)
      for (uint64_t b = 0; b < element; ++b)
        ++bytes[shape.address + (r * shape.row_stride + c * shape.column_stride) * element + b];
  return bytes;
}

int failures = 0;

void check(bool right, const char* what, const Shape& a, const Shape& b) {
  if (right) return;
  ++failures;
  for (const Shape& s : {a, b})
    fprintf(stderr, "%s: at %d, %d rows by %d, %d columns by %d\n", what, (int)s.address,
            (int)s.rows, (int)s.row_stride, (int)s.columns, (int)s.column_stride);
}

}  // namespace

int main() {
  std::map<int, Shape> shapes;
  for (uint64_t address : {16, 18, 24, 40})
    for (uint64_t rows : {0, 1, 3})
      for (uint64_t row_stride : {0, 2, 4, 9})
        for (uint64_t columns : {1, 2, 4})
          for (uint64_t column_stride : {1, 3})
            shapes[(int)shapes.size()] = {address, rows, row_stride, columns, column_stride};

  unsigned told_apart = 0;
  for (const auto& [i, a] : shapes) {
    auto bytes = bytes_of(a);
    Footprint footprint = footprint_of(a);
    check(footprint.bytes() == (bytes.empty() ? 0 : bytes.rbegin()->first - a.address + 1), "bytes",
          a, a);
    bool shared = false;
    for (auto [byte, count] : bytes) shared = shared || count > 1;
    // It may call elements overlapping that are not, never the other way round.
    check(!shared || !footprint.distinct(), "distinct", a, a);

    for (const auto& [j, b] : shapes) {
      auto others = bytes_of(b);
      bool meet = false;
      for (auto [byte, count] : bytes) meet = meet || others.count(byte);
      bool said = footprint.meets(footprint_of(b));
      check(!meet || said, "meets", a, b);
      bool interleaved = !bytes.empty() && !others.empty() &&
                         bytes.begin()->first <= others.rbegin()->first &&
                         others.begin()->first <= bytes.rbegin()->first;
      told_apart += interleaved && !said;
    }
  }
  if (told_apart == 0) {
    fprintf(stderr, "interleaved rows were never told apart\n");
    ++failures;
  }

  Footprint huge(4);
  if (huge.add(uint64_t(1) << 40, uint64_t(1) << 40)) {
    fprintf(stderr, "an overflow went unnoticed\n");
    ++failures;
  }
  return failures != 0;
}
