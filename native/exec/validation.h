// SPDX-License-Identifier: MIT
// Memory accesses and barriers of the reference path -> reports of those that no GPU promises
// anything about.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "exec/abi.h"

namespace mfa::exec {

/// What one dispatch is checked against, and what was found. Thread-safe.
class Validation {
 public:
  uint64_t buffer_lengths[MFA_MAX_BUFFERS] = {};  // bytes behind mfa_launch::buffers
  uint32_t threadgroup_lengths[MFA_MAX_BUFFERS] = {};
  uint32_t threadgroup_bytes = 0;

  /// Keeps the first few, one of each `kind`: a defect shows in many threads.
  void report(const void* kind, std::string defect);
  /// All reports, one a line; empty if there are none.
  std::string text() const;

 private:
  static constexpr size_t most = 8;
  mutable std::mutex mutex_;
  std::vector<const void*> kinds_;
  std::vector<std::string> defects_;
  bool more_ = false;
};

/// What happened to one byte of threadgroup memory since the group began.
struct ShadowByte {
  uint32_t write_phase, read_phase;  // phases end at threadgroup barriers; 0: never
  uint8_t writer, reader;            // simdgroups, in those phases; `several` if more than one
  uint8_t atomic_write, atomic_read;
};

/// Checks the accesses of one threadgroup.
class GroupValidation {
 public:
  /// `shadow` has an entry per byte of threadgroup memory.
  GroupValidation(Validation& validation, const mfa_group& group, ShadowByte* shadow);

  /// `thread` is the index in the group. Returns `address`, or that of harmless memory.
  unsigned char* check(const mfa_access& access, unsigned char* address, uint64_t bytes,
                       uint32_t thread);
  void next_phase() { ++phase_; }
  /// Thread `here` waits at a threadgroup barrier that `there` does not wait at.
  void divergence(const mfa_site* barrier, uint32_t here, uint32_t there, bool ended);

 private:
  static constexpr uint8_t several = 255;

  struct Range {
    unsigned char* begin = nullptr;
    uint64_t length = 0;
  };
  Range range_of(const mfa_access& access, const unsigned char* address, uint64_t bytes) const;
  void check_threadgroup(const mfa_access& access, const unsigned char* address, uint64_t bytes,
                         uint32_t thread, const Range& range);
  std::string who(uint32_t thread) const;

  Validation& validation_;
  const mfa_group& group_;
  ShadowByte* shadow_;
  uint32_t phase_ = 1;
};

}  // namespace mfa::exec
