// SPDX-License-Identifier: MIT
// 8x8 matrices and tile copies of the reference path, element by element.
#include <algorithm>
#include <cmath>

#include "exec/lanes.h"
#include "jit/reference_numbers.h"

namespace mfa::jit {
namespace {

using simd::Op;

unsigned char* slot(unsigned char* record, unsigned index) {
  return record + index * record_slot_bytes;
}

template <class T>
T operand(const unsigned char* record, unsigned index, unsigned component = 0) {
  T value;
  memcpy(&value, record + (index + 1) * record_slot_bytes + component * sizeof(T), sizeof(T));
  return value;
}

// Where lane l's elements 0 and 1 lie, AIR.md section 6.
unsigned row_of(unsigned lane) { return (lane >> 1 & 1) | (lane >> 2 & 1) << 1 | (lane >> 4) << 2; }
unsigned column_of(unsigned lane) { return (lane & 1) << 1 | (lane >> 3 & 1) << 2; }

/// Position of element (row, column) from the address operands that begin at operand `first`.
int64_t position(const SiteOperation& site, const unsigned char* record, unsigned first,
                 int64_t row, int64_t column) {
  if (site.strided) {
    int64_t x = operand<int64_t>(record, first + 1, 0), y = operand<int64_t>(record, first + 1, 1);
    return (operand<int64_t>(record, first + 2, 1) + row) * y +
           (operand<int64_t>(record, first + 2, 0) + column) * x;
  }
  int64_t per_row = operand<int64_t>(record, first);
  if (operand<uint8_t>(record, first + 2) & 1) std::swap(row, column);
  return (operand<int64_t>(record, first + 1, 1) + row) * per_row +
         operand<int64_t>(record, first + 1, 0) + column;
}

struct Matrix {
  float at[8][8] = {};  // elements of lanes that do not take part are 0
};

Matrix gather(unsigned char* const* records, uint32_t active, unsigned index, Element element) {
  Matrix matrix;
  for (unsigned lane = 0; lane < MFA_SIMD_WIDTH; ++lane)
    for (unsigned e = 0; (active >> lane & 1) && e < 2; ++e)
      matrix.at[row_of(lane)][column_of(lane) + e] =
          load_float(slot(records[lane], index + 1) + e * element_bytes(element), element);
  return matrix;
}

/// D = A B + C, accumulated in float along k.
Matrix multiply(const Matrix& a, const Matrix& b, const Matrix& c) {
  Matrix d = c;
  for (int row = 0; row < 8; ++row)
    for (int column = 0; column < 8; ++column)
      for (int k = 0; k < 8; ++k)
        d.at[row][column] = fmaf(a.at[row][k], b.at[k][column], d.at[row][column]);
  return d;
}

/// Loads, stores and the two constant matrices, of which every lane sees to its own elements.
void run_lane(const mfa_site* info, const SiteOperation& site, unsigned char* record,
              unsigned lane) {
  unsigned size = element_bytes(site.element);
  for (unsigned e = 0; e < 2; ++e) {
    unsigned row = row_of(lane), column = column_of(lane) + e;
    unsigned char* result = slot(record, 0) + e * size;
    const unsigned char* value = slot(record, 1);
    if (site.op == Op::matrix_load) {
      auto* base = operand<unsigned char*>(record, 0);
      unsigned char* from = base + position(site, record, 1, row, column) * size;
      memcpy(result, exec::checked(info, 0, lane, from, size), size);
    } else if (site.op == Op::matrix_store) {
      auto* base = operand<unsigned char*>(record, 1);
      unsigned char* to = base + position(site, record, 2, row, column) * size;
      memcpy(exec::checked(info, 0, lane, to, size), value + e * size, size);
    } else if (site.op == Op::matrix_fill || row == column) {
      memcpy(result, value, size);
    } else {
      memset(result, 0, size);
    }
  }
}

/// One run of bytes from device to threadgroup memory or back, by lane `lane`.
void copy_bytes(const mfa_site* info, unsigned lane, unsigned char* to, unsigned char* from,
                uint64_t bytes) {
  memcpy(exec::checked(info, 0, lane, to, bytes), exec::checked(info, 1, lane, from, bytes), bytes);
}

void copy_line(const mfa_site* info, unsigned lane, const unsigned char* record) {
  uint64_t size = operand<uint64_t>(record, 0), count = operand<uint64_t>(record, 4);
  auto *to = operand<unsigned char*>(record, 2), *from = operand<unsigned char*>(record, 3);
  for (uint64_t i = 0; i < count; ++i) copy_bytes(info, lane, to + i * size, from + i * size, size);
}

void copy_tile(const mfa_site* info, unsigned lane, const unsigned char* record) {
  int64_t size = operand<int64_t>(record, 0);
  auto* to = operand<unsigned char*>(record, 2);
  int64_t to_row = operand<int64_t>(record, 3);
  int64_t width = operand<int64_t>(record, 5, 0), height = operand<int64_t>(record, 5, 1);
  auto* from = operand<unsigned char*>(record, 6);
  int64_t from_row = operand<int64_t>(record, 7);
  int64_t from_width = operand<int64_t>(record, 9, 0), from_height = operand<int64_t>(record, 9, 1);
  bool clamp_to_edge = operand<int32_t>(record, 11) != 0 && from_width > 0 && from_height > 0;
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      unsigned char* cell = to + (y * to_row + x) * size;
      bool inside = x < from_width && y < from_height;
      int64_t source_y = std::min(y, from_height - 1), source_x = std::min(x, from_width - 1);
      if (inside || clamp_to_edge)
        copy_bytes(info, lane, cell, from + (source_y * from_row + source_x) * size,
                   uint64_t(size));
      else
        memset(exec::checked(info, 0, lane, cell, uint64_t(size)), 0, size_t(size));
    }
  }
}

}  // namespace
}  // namespace mfa::jit

void mfa_rt_matrix(const mfa_site* info, unsigned char* const* records, uint32_t active) {
  using namespace mfa::jit;
  SiteOperation site = SiteOperation::unpack(info->details);
  Matrix product;
  bool is_multiply = site.op == Op::matrix_multiply;
  if (is_multiply)
    product = multiply(gather(records, active, 0, site.a), gather(records, active, 1, site.b),
                       gather(records, active, 2, site.c));
  for (unsigned lane = 0; lane < MFA_SIMD_WIDTH; ++lane) {
    if (!(active >> lane & 1)) continue;
    if (!is_multiply) {
      run_lane(info, site, records[lane], lane);
      continue;
    }
    for (unsigned e = 0; e < 2; ++e)
      store_float(records[lane] + e * element_bytes(site.element), site.element,
                  product.at[row_of(lane)][column_of(lane) + e]);
  }
}

void mfa_rt_copy(const mfa_site* info, unsigned char* const* records, uint32_t active) {
  using namespace mfa::jit;
  SiteOperation site = SiteOperation::unpack(info->details);
  const auto first = unsigned(__builtin_ctz(active));
  if (site.op == Op::async_copy_1d)
    copy_line(info, first, records[first]);
  else
    copy_tile(info, first, records[first]);
  // The event: nobody looks into it.
  for (unsigned lane = 0; lane < MFA_SIMD_WIDTH; ++lane)
    if (active >> lane & 1) memset(records[lane], 0, sizeof(void*));
}
