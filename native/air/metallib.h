// SPDX-License-Identifier: MIT
// The metallib container: bytes -> function records, and back. Knows nothing of LLVM.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mfa::air {

enum class FunctionType : uint8_t {
  vertex = 0,
  fragment = 1,
  kernel = 2,
  unqualified = 3,
  visible = 4,
  external = 5,
  intersection = 6,
  mesh = 7,
  object = 8,
  none = 255,
};

/// One entry of the CNST tag: `type` is an MTLDataType number.
struct ConstantRecord {
  std::string name;
  uint8_t type = 0;
  uint16_t index = 0;
  bool required = true;
};

struct FunctionRecord {
  std::string name;
  FunctionType type = FunctionType::kernel;
  uint16_t air_major = 0, air_minor = 0, language_major = 0, language_minor = 0;
  std::vector<ConstantRecord> constants;
  std::array<uint8_t, 32> hash{};           // SHA-256 of `bitcode`
  std::basic_string_view<uint8_t> bitcode;  // wrapper header and zero padding included
  // Set by the first to read it: LLVM's verifier has found nothing. Copies share it.
  std::shared_ptr<std::atomic<bool>> valid = std::make_shared<std::atomic<bool>>(false);
};

/// An opened library. Owns its bytes; records point into them.
class Metallib {
 public:
  /// Checks every offset, size and hash. The message of a refusal names the field and its value.
  static Result<std::shared_ptr<const Metallib>> open(std::vector<uint8_t> bytes);

  const std::vector<FunctionRecord>& functions() const { return functions_; }
  /// Null if there is no such function.
  const FunctionRecord* find(std::string_view name) const;
  const std::vector<uint8_t>& bytes() const { return bytes_; }

 private:
  std::vector<uint8_t> bytes_;
  std::vector<FunctionRecord> functions_;
  std::map<std::string, size_t, std::less<>> by_name_;
};

/// One function for `write`: raw or wrapped bitcode, the rest as in FunctionRecord.
struct FunctionDescription {
  std::string name;
  FunctionType type = FunctionType::kernel;
  std::vector<ConstantRecord> constants;
  std::vector<uint8_t> bitcode;  // raw LLVM bitcode; `write` adds wrapper, padding and hash
};

/// Writes a macOS 14 library (AIR 2.6, MSL 3.1) in the shape of AIR.md section 1.9.
std::vector<uint8_t> write(const std::vector<FunctionDescription>& functions);

}  // namespace mfa::air
