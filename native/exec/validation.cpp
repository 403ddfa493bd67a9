// SPDX-License-Identifier: MIT
// Memory accesses and barriers of the reference path -> reports of those that no GPU promises
// anything about.
#include "exec/validation.h"

#include <algorithm>
#include <cstring>

namespace mfa::exec {
namespace {

// Where accesses out of bounds go: writes vanish, reads find zeros.
constexpr uint64_t harmless_bytes = 64 * 1024;
alignas(64) thread_local unsigned char harmless[harmless_bytes];

std::string triple(const uint32_t at[3]) {
  return "(" + std::to_string(at[0]) + ", " + std::to_string(at[1]) + ", " + std::to_string(at[2]) +
         ")";
}

/// "argument 'x' at buffer index 3", "threadgroup variable 't'"
std::string what(const mfa_access& access) {
  if (access.slot == MFA_ORIGIN_SEVERAL) return "a bound buffer";
  if (access.slot == MFA_ORIGIN_STATIC) return std::string("threadgroup variable ") + access.name;
  return std::string("argument '") + access.name + "' at " +
         (access.space == 3 ? "threadgroup" : "buffer") + " index " + std::to_string(access.slot);
}

const char* verb(const mfa_access& access) {
  return access.atomic ? "changes" : access.writes ? "writes" : "reads";
}

// Kinds of defects of one access; their addresses tell them apart.
enum Defect { out_of_bounds, uninitialised, race, defects };

const void* kind(const mfa_access& access, Defect defect) {
  return reinterpret_cast<const char*>(&access) + defect;
}
static_assert(sizeof(mfa_access) >= defects);

}  // namespace

void Validation::report(const void* kind, std::string defect) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (std::find(kinds_.begin(), kinds_.end(), kind) != kinds_.end()) return;
  if (defects_.size() == most) {
    more_ = true;
    return;
  }
  kinds_.push_back(kind);
  defects_.push_back(std::move(defect));
}

std::string Validation::text() const {
  std::lock_guard<std::mutex> lock(mutex_);
  std::string text;
  for (const std::string& defect : defects_) text += (text.empty() ? "" : "\n") + defect;
  if (more_) text += "\nand more of other kinds";
  return text;
}

GroupValidation::GroupValidation(Validation& validation, const mfa_group& group, ShadowByte* shadow)
    : validation_(validation), group_(group), shadow_(shadow) {
  memset(static_cast<void*>(shadow_), 0, sizeof(ShadowByte) * validation.threadgroup_bytes);
}

std::string GroupValidation::who(uint32_t thread) const {
  const uint32_t* size = group_.size;
  const uint32_t at[3] = {thread % size[0], thread / size[0] % size[1],
                          thread / (size[0] * size[1])};
  return "thread " + triple(at) + " of threadgroup " + triple(group_.position);
}

GroupValidation::Range GroupValidation::range_of(const mfa_access& access,
                                                 const unsigned char* address,
                                                 uint64_t bytes) const {
  const mfa_launch& launch = *group_.launch;
  if (access.space == 3) {
    if (access.slot == MFA_ORIGIN_STATIC) return {group_.threadgroup + access.begin, access.length};
    if (access.slot == MFA_ORIGIN_SEVERAL)
      return {group_.threadgroup, validation_.threadgroup_bytes};
    return {group_.threadgroup + launch.threadgroup_offsets[access.slot],
            validation_.threadgroup_lengths[access.slot]};
  }
  if (access.slot >= 0)
    return {launch.buffers[access.slot], validation_.buffer_lengths[access.slot]};
  // Whichever it lies in.
  for (int slot = 0; slot < MFA_MAX_BUFFERS; ++slot) {
    const uint64_t length = validation_.buffer_lengths[slot];
    const uint64_t offset = uint64_t(address - launch.buffers[slot]);
    if (launch.buffers[slot] && offset <= length && bytes <= length - offset)
      return {launch.buffers[slot], length};
  }
  return {};
}

unsigned char* GroupValidation::check(const mfa_access& access, unsigned char* address,
                                      uint64_t bytes, uint32_t thread) {
  const Range range = range_of(access, address, bytes);
  const int64_t offset = address - range.begin;
  if (offset < 0 || uint64_t(offset) > range.length || bytes > range.length - uint64_t(offset)) {
    std::string where = access.slot == MFA_ORIGIN_SEVERAL
                            ? " outside every bound buffer"
                            : " at offset " + std::to_string(offset) + " of " + what(access) +
                                  ", which has " + std::to_string(range.length) + " bytes";
    validation_.report(kind(access, out_of_bounds), "out of bounds: " + who(thread) + " " +
                                                        verb(access) + " " + std::to_string(bytes) +
                                                        " bytes" + where);
    memset(harmless, 0, std::min(bytes, harmless_bytes));
    return harmless;
  }
  if (access.space == 3) check_threadgroup(access, address, bytes, thread, range);
  return address;
}

void GroupValidation::check_threadgroup(const mfa_access& access, const unsigned char* address,
                                        uint64_t bytes, uint32_t thread, const Range& range) {
  const auto mine = uint8_t(thread / MFA_SIMD_WIDTH);
  const bool reads = !access.writes || access.atomic;
  ShadowByte* shadow = shadow_ + (address - group_.threadgroup);
  for (uint64_t i = 0; i < bytes; ++i) {
    ShadowByte& byte = shadow[i];
    auto place = [&] {
      return " at offset " + std::to_string(address - range.begin + int64_t(i)) + " of " +
             what(access);
    };
    if (reads && byte.write_phase == 0 && !access.copies)
      validation_.report(
          kind(access, uninitialised),
          "uninitialised: " + who(thread) + " reads a byte" + place() + " that nobody has written");
    const bool after_write =
        byte.write_phase == phase_ && byte.writer != mine && !(access.atomic && byte.atomic_write);
    const bool after_read = access.writes && byte.read_phase == phase_ && byte.reader != mine &&
                            !(access.atomic && byte.atomic_read);
    if (after_write || after_read) {
      const uint8_t other = after_write ? byte.writer : byte.reader;
      validation_.report(
          kind(access, race),
          "race: " + who(thread) + " in simdgroup " + std::to_string(mine) + " " + verb(access) +
              " a byte" + place() + " that " +
              (other == several ? "other simdgroups" : "simdgroup " + std::to_string(other)) +
              (after_write ? " wrote" : " read") + " since the last threadgroup barrier");
    }
    if (access.writes) {
      byte.writer = byte.write_phase == phase_ && byte.writer != mine ? several : mine;
      byte.atomic_write = access.atomic;
      byte.write_phase = phase_;
    }
    if (reads) {
      const bool again = byte.read_phase == phase_;
      byte.atomic_read = access.atomic && (!again || byte.atomic_read);
      byte.reader = again && byte.reader != mine ? several : mine;
      byte.read_phase = phase_;
    }
  }
}

void GroupValidation::divergence(const mfa_site* barrier, uint32_t here, uint32_t there,
                                 bool ended) {
  validation_.report(barrier,
                     "barrier divergence: " + who(here) + " waits at a threadgroup barrier, but " +
                         who(there) +
                         (ended ? " has ended without reaching it" : " has gone another way"));
}

}  // namespace mfa::exec
