// SPDX-License-Identifier: MIT
// Reductions, scans, votes and shuffles over the active lanes of a simdgroup or a quad.
#include <cmath>

#include "jit/reference_numbers.h"

namespace mfa::jit {
namespace {

using simd::Op;

constexpr unsigned lanes = MFA_SIMD_WIDTH;

unsigned char* slot(unsigned char* record, unsigned index) {
  return record + index * record_slot_bytes;
}

/// One number, as bits of its type. Reductions round to the type after every step.
struct Number {
  unsigned char bytes[8] = {};
};

Number combine(const SiteOperation& site, Op op, const Number& a, const Number& b) {
  Number result;
  if (is_float(site.element)) {
    float x = load_float(a.bytes, site.element), y = load_float(b.bytes, site.element);
    float value = op == Op::sum       ? x + y
                  : op == Op::product ? x * y
                  : op == Op::min     ? fminf(x, y)
                                      : fmaxf(x, y);
    store_float(result.bytes, site.element, value);
    return result;
  }
  uint64_t x = load_integer(a.bytes, site.element), y = load_integer(b.bytes, site.element);
  bool less = site.is_signed ? sign_extend(x, site.element) < sign_extend(y, site.element) : x < y;
  uint64_t value = 0;
  switch (op) {
    case Op::sum:
      value = x + y;
      break;
    case Op::product:
      value = x * y;
      break;
    case Op::min:
      value = less ? x : y;
      break;
    case Op::max:
      value = less ? y : x;
      break;
    case Op::bit_and:
      value = x & y;
      break;
    case Op::bit_or:
      value = x | y;
      break;
    default:
      value = x ^ y;
  }
  store_integer(result.bytes, site.element, value);
  return result;
}

Number constant(const SiteOperation& site, unsigned value) {
  Number result;
  if (is_float(site.element))
    store_float(result.bytes, site.element, float(value));
  else
    store_integer(result.bytes, site.element, value);
  return result;
}

/// The lanes of one simdgroup or quad that take part, and one component of their operands.
struct Group {
  unsigned first, width;
  uint32_t active;  // within the whole simdgroup
  Number in[lanes], fill[lanes];
  uint64_t index[lanes];  // the shuffle's index or distance
};

bool is_active(const Group& group, unsigned lane) { return group.active >> lane & 1; }

/// Halves the group again and again: lane i takes lane i + d, for d = 16, 8, 4, 2, 1.
Number reduce(const SiteOperation& site, const Group& group) {
  Number values[lanes];
  uint32_t present = group.active;
  for (unsigned lane = 0; lane < lanes; ++lane) values[lane] = group.in[lane];
  for (unsigned distance = group.width / 2; distance > 0; distance /= 2) {
    for (unsigned lane = group.first; lane < group.first + distance; ++lane) {
      unsigned other = lane + distance;
      if (!(present >> other & 1)) continue;
      values[lane] =
          present >> lane & 1 ? combine(site, site.op, values[lane], values[other]) : values[other];
      present |= 1u << lane;
    }
  }
  return values[group.first];
}

void scan(const SiteOperation& site, const Group& group, Number out[lanes]) {
  bool is_sum = site.op == Op::prefix_inclusive_sum || site.op == Op::prefix_exclusive_sum;
  bool inclusive = site.op == Op::prefix_inclusive_sum || site.op == Op::prefix_inclusive_product;
  Number total = constant(site, is_sum ? 0 : 1);
  for (unsigned lane = group.first; lane < group.first + group.width; ++lane) {
    if (!is_active(group, lane)) continue;
    Number next = combine(site, is_sum ? Op::sum : Op::product, total, group.in[lane]);
    out[lane] = inclusive ? next : total;
    total = next;
  }
}

/// The lane, counted inside the group, that lane `at` reads; `from_fill` if from the fill value.
/// Lanes that would read outside the group read themselves.
unsigned source(Op op, unsigned at, uint64_t operand, unsigned width, unsigned modulo,
                bool& from_fill) {
  from_fill = false;
  unsigned distance = unsigned(operand & 0xffff);
  switch (op) {
    case Op::broadcast:
    case Op::shuffle:
      return distance % width;
    case Op::shuffle_xor:
      return (at ^ distance) % width;
    case Op::shuffle_up:
      return at >= distance ? at - distance : at;
    case Op::shuffle_down:
      return at + distance < width ? at + distance : at;
    case Op::shuffle_rotate_up:
      return (at + width - distance % width) % width;
    case Op::shuffle_rotate_down:
      return (at + distance) % width;
    default:
      break;
  }
  unsigned segment = at / modulo * modulo, j = at - segment;
  distance %= modulo;
  if (op == Op::shuffle_fill_up) {
    from_fill = j < distance;
    return segment + (from_fill ? j + modulo - distance : j - distance);
  }
  from_fill = j + distance >= modulo;
  return segment + (from_fill ? j + distance - modulo : j + distance);
}

void shuffle(const SiteOperation& site, const Group& group, const uint64_t modulo[lanes],
             Number out[lanes]) {
  for (unsigned lane = group.first; lane < group.first + group.width; ++lane) {
    if (!is_active(group, lane)) continue;
    unsigned from = unsigned(__builtin_ctz(group.active));
    bool from_fill = false;
    if (site.op != Op::broadcast_first) {
      unsigned segment = unsigned(modulo[lane]);
      if (segment == 0 || segment > group.width) segment = group.width;
      from = group.first + source(site.op, lane - group.first, group.index[lane], group.width,
                                  segment, from_fill);
    }
    // An inactive lane has nothing to read; the reader keeps its own value.
    if (!is_active(group, from)) from = lane;
    out[lane] = from_fill ? group.fill[from] : group.in[from];
  }
}

/// The operation on component `component` of one simdgroup or quad.
void run_component(const SiteOperation& site, unsigned char* const* records, unsigned first,
                   uint32_t active, unsigned component) {
  unsigned size = element_bytes(site.element);
  bool fills = site.op == Op::shuffle_fill_up || site.op == Op::shuffle_fill_down;
  Group group{first, site.width, active, {}, {}, {}};
  uint64_t modulo[lanes] = {};
  for (unsigned lane = first; lane < first + site.width; ++lane) {
    if (!is_active(group, lane)) continue;
    memcpy(group.in[lane].bytes, slot(records[lane], 1) + component * size, size);
    if (site.op < Op::broadcast) continue;
    if (fills) {
      memcpy(group.fill[lane].bytes, slot(records[lane], 2) + component * size, size);
      modulo[lane] = load_integer(slot(records[lane], 4), Element::i16);
    }
    if (site.op != Op::broadcast_first)
      group.index[lane] = load_integer(slot(records[lane], fills ? 3 : 2), Element::i16);
  }
  Number out[lanes];
  if (site.op <= Op::bit_xor) {
    Number total = reduce(site, group);
    for (Number& number : out) number = total;
  } else if (site.op <= Op::prefix_exclusive_product) {
    scan(site, group, out);
  } else {
    shuffle(site, group, modulo, out);
  }
  for (unsigned lane = first; lane < first + site.width; ++lane)
    if (is_active(group, lane))
      memcpy(slot(records[lane], 0) + component * size, out[lane].bytes, size);
}

/// Votes of one simdgroup or quad. Masks count lanes from the group's first.
void vote(const SiteOperation& site, unsigned char* const* records, unsigned first,
          uint32_t active) {
  uint64_t present = active >> first, ballot = 0;
  for (unsigned lane = first; lane < first + site.width; ++lane) {
    bool takes_part = active >> lane & 1;
    if (takes_part && site.op <= Op::ballot)
      ballot |= uint64_t(slot(records[lane], 1)[0] & 1) << (lane - first);
  }
  unsigned leader = unsigned(__builtin_ctz(active));
  for (unsigned lane = first; lane < first + site.width; ++lane) {
    if (!(active >> lane & 1)) continue;
    uint64_t mask = 0, result = 0;
    if (site.op == Op::vote_all || site.op == Op::vote_any)
      mask = load_integer(slot(records[lane], 1), site.a);
    switch (site.op) {
      case Op::all:
        result = ballot == present;
        break;
      case Op::any:
        result = ballot != 0;
        break;
      case Op::ballot:
        result = ballot;
        break;
      case Op::vote_all:
        result = (mask & present) == present;
        break;
      case Op::vote_any:
        result = mask != 0;
        break;
      case Op::active_mask:
        result = present;
        break;
      case Op::is_first:
        result = lane == leader;
        break;
      default:
        result = 0;  // is_helper: there are none in compute kernels
    }
    store_integer(slot(records[lane], 0), site.element, result);
  }
}

}  // namespace
}  // namespace mfa::jit

void mfa_rt_group(const mfa_site* info, unsigned char* const* records, uint32_t active) {
  using namespace mfa::jit;
  SiteOperation site = SiteOperation::unpack(info->details);
  uint32_t all = site.width >= 32 ? ~0u : (1u << site.width) - 1;
  for (unsigned first = 0; first < MFA_SIMD_WIDTH; first += site.width) {
    uint32_t group = active & (all << first);
    if (!group) continue;
    if (site.op >= mfa::simd::Op::all && site.op <= mfa::simd::Op::is_helper) {
      vote(site, records, first, group);
    } else {
      for (unsigned i = 0; i < site.components; ++i) run_component(site, records, first, group, i);
    }
  }
}
