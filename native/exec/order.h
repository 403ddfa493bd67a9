// SPDX-License-Identifier: MIT
// The number of a threadgroup in execution order -> its position in the grid.
#pragma once

#include <algorithm>
#include <cstdint>

namespace mfa::exec {

/// Groups run in strips of 8 rows, column by column inside a strip: neighbours in time share rows
/// of one matrix operand and columns of the other, which stay in cache. A 1-D grid runs in order.
class Order {
 public:
  explicit Order(const uint32_t groups[3])
      : width_(groups[0]), height_(groups[1]), plane_(uint64_t(groups[0]) * groups[1]) {}

  void position(uint64_t index, uint32_t out[3]) const {
    uint64_t z = index / plane_, rest = index - z * plane_;
    uint64_t strip_size = uint64_t(width_) * strip_rows;
    uint64_t strip = rest / strip_size, inside = rest - strip * strip_size;
    uint32_t first_row = uint32_t(strip) * strip_rows;
    uint32_t rows = std::min(strip_rows, height_ - first_row);
    out[0] = uint32_t(inside / rows);
    out[1] = first_row + uint32_t(inside % rows);
    out[2] = uint32_t(z);
  }

 private:
  static constexpr uint32_t strip_rows = 8;
  uint32_t width_, height_;
  uint64_t plane_;
};

}  // namespace mfa::exec
