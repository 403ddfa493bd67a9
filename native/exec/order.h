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

  struct Position {
    uint32_t at[3];
    uint32_t first_row, rows;  // of the strip
  };

  Position position(uint64_t index) const {
    if (index == 0) return {{0, 0, 0}, 0, std::min(strip_rows, height_)};
    uint64_t z = index / plane_, rest = index - z * plane_;
    uint64_t strip_size = uint64_t(width_) * strip_rows;
    uint64_t strip = rest / strip_size, inside = rest - strip * strip_size;
    uint32_t first_row = uint32_t(strip) * strip_rows;
    uint32_t rows = std::min(strip_rows, height_ - first_row);
    return {{uint32_t(inside / rows), first_row + uint32_t(inside % rows), uint32_t(z)},
            first_row,
            rows};
  }

  /// To that of the next index, without the divisions, which take as long as a small group.
  void advance(Position& position) const {
    uint32_t* at = position.at;
    if (++at[1] < position.first_row + position.rows) return;
    at[1] = position.first_row;
    if (++at[0] < width_) return;
    at[0] = 0;
    position.first_row += position.rows;
    if (position.first_row == height_) {
      position.first_row = 0;
      ++at[2];
    }
    at[1] = position.first_row;
    position.rows = std::min(strip_rows, height_ - position.first_row);
  }

 private:
  static constexpr uint32_t strip_rows = 8;
  uint32_t width_, height_;
  uint64_t plane_;
};

}  // namespace mfa::exec
