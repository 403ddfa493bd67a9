// SPDX-License-Identifier: MIT
// Arithmetic on strided address ranges.
#include "api/footprint.h"

#include <algorithm>

namespace mfa::api {

bool Footprint::add(uint64_t count, uint64_t stride) {
  if (count == 0) {
    empty_ = true;
    return true;
  }
  if (count == 1) return true;
  uint64_t pitch, reach;
  if (__builtin_mul_overflow(stride, element_, &pitch)) return false;
  if (__builtin_mul_overflow(pitch, count - 1, &reach)) return false;
  if (__builtin_add_overflow(span_, reach, &span_)) return false;
  dimensions_[count_++] = {count, pitch};
  return span_ <= INT64_MAX;
}

uint64_t Footprint::width(uint64_t pitch) const {
  uint64_t width = element_;
  for (unsigned i = 0; i < count_; ++i) {
    const Dimension& dimension = dimensions_[i];
    if (dimension.stride < pitch)
      width += dimension.stride * (dimension.count - 1);
    else if (dimension.stride % pitch != 0)
      return 0;
  }
  return width <= pitch ? width : 0;
}

bool Footprint::meets(const Footprint& other) const {
  if (empty_ || other.empty_) return false;
  if (address_ + span_ <= other.address_ || other.address_ + other.span_ <= address_) return false;
  for (unsigned i = 0; i < count_; ++i) {
    uint64_t pitch = dimensions_[i].stride;
    if (pitch == 0) continue;
    uint64_t mine = width(pitch), theirs = other.width(pitch);
    if (mine == 0 || theirs == 0) continue;
    uint64_t distance = (other.address_ % pitch + pitch - address_ % pitch) % pitch;
    if (distance >= mine && distance + theirs <= pitch) return false;
  }
  return true;
}

bool Footprint::distinct() const {
  if (empty_ || (count_ == 1 && dimensions_[0].stride >= element_)) return true;
  Dimension sorted[4];
  std::copy(dimensions_, dimensions_ + count_, sorted);
  std::sort(sorted, sorted + count_,
            [](const Dimension& a, const Dimension& b) { return a.stride < b.stride; });
  uint64_t covered = element_;
  for (unsigned i = 0; i < count_; ++i) {
    if (sorted[i].stride < covered) return false;
    covered += sorted[i].stride * (sorted[i].count - 1);
  }
  return true;
}

}  // namespace mfa::api
