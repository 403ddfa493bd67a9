// SPDX-License-Identifier: MIT
// Kernel descriptors: a function and its constants. The key of the pipeline cache; no sizes but D.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace mfa::host {

class KernelDescriptor {
 public:
  struct Constant {
    uint32_t index, type;
    uint32_t bits;  // the value's bytes
    const char* name;
  };

  explicit KernelDescriptor(const char* function) : function_(function) {}

  void set(const char* name, uint32_t index, bool value);
  void set(const char* name, uint32_t index, uint16_t value);
  void set(const char* name, uint32_t index, uint32_t value);

  const char* function() const { return function_; }
  const Constant* begin() const { return constants_; }
  const Constant* end() const { return constants_ + count_; }
  /// "A_trans=0 M_simd=64 ...", in the order they were set.
  std::string text() const;
  /// The product of the constants that size a block of work (M_simd, C_simd, ...): what the time
  /// to compile one function grows with.
  uint64_t block_volume() const;

  bool operator==(const KernelDescriptor& other) const;
  size_t hash() const;

 private:
  void add(const char* name, uint32_t index, uint32_t type, uint32_t bits);

  const char* function_;  // static
  size_t count_ = 0;
  Constant constants_[48];
};

struct KernelHash {
  size_t operator()(const KernelDescriptor& kernel) const { return kernel.hash(); }
};

}  // namespace mfa::host
