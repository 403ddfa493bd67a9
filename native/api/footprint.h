// SPDX-License-Identifier: MIT
// Where the elements of a strided operand lie in memory: does it fit, does it meet another?
#pragma once

#include <cstdint>

namespace mfa::api {

/// Up to four dimensions; strides and the element size in bytes. Count 0 anywhere: no elements.
class Footprint {
 public:
  explicit Footprint(uint64_t element_size) : element_(element_size) {}

  /// Adds a dimension, its stride in elements. False if the numbers do not fit 64 bits.
  bool add(uint64_t count, uint64_t stride);
  void place(uint64_t address) { address_ = address; }
  uint64_t address() const { return address_; }

  /// Bytes from the first element's first to the last one's last.
  uint64_t bytes() const { return empty_ ? 0 : span_; }
  /// False only if no byte belongs to both. Interleaved rows of one pitch are told apart.
  bool meets(const Footprint& other) const;
  /// True if no two elements share a byte, as an output needs.
  bool distinct() const;

 private:
  struct Dimension {
    uint64_t count, stride;
  };
  /// With rows every `pitch` bytes, the width of a row; 0 if the elements do not lie in such rows.
  uint64_t width(uint64_t pitch) const;

  uint64_t element_;
  uint64_t span_ = element_;
  uint64_t address_ = 0;
  Dimension dimensions_[4];
  unsigned count_ = 0;
  bool empty_ = false;
};

}  // namespace mfa::api
