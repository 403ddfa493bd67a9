// SPDX-License-Identifier: MIT
// Memory accesses of a thread function -> the same, each asking mfa_rt_access first.
#pragma once

#include <cstdint>
#include <string>

#include "llvm/ADT/DenseMap.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Module.h"
#include "simd/prologue.h"

namespace mfa::jit {

/// Where the addresses of a kernel come from, and the descriptions of its accesses.
class Accesses {
 public:
  Accesses(llvm::Module& module, llvm::Value* group) : module_(module), group_(group) {}

  /// `address` is that of [[buffer(slot)]] or [[threadgroup(slot)]].
  void add_argument(llvm::Value* address, const std::string& name, unsigned slot);
  void add_variables(const simd::StaticMemory& memory) { variables_ = memory; }

  /// Inserts a check before every load, store, atomic operation and kept copy of device, constant
  /// and threadgroup memory. Addresses that were loaded from memory are not known and not checked.
  void check(llvm::Function& thread);
  /// An mfa_access for the memory that an operation at a site reaches through `address`; a null
  /// pointer if its origin is not known.
  llvm::Constant* describe(llvm::Value* address, bool writes, bool copies = false);

 private:
  struct Origin {
    std::string name;
    int32_t slot = 0;
    uint32_t begin = 0, length = 0;
    bool known = false;

    bool same(const Origin& other) const {
      return slot == other.slot && begin == other.begin && name == other.name;
    }
  };

  Origin origin(llvm::Value* address);
  bool origin_of_base(llvm::Value* value, Origin& origin);
  bool is_group_memory(llvm::Value* value) const;
  llvm::Constant* access(llvm::Value* address, uint64_t bytes, bool writes, bool atomic,
                         bool copies);
  llvm::Constant* text(const std::string& value);
  void check_operand(llvm::Instruction& inst, unsigned operand, uint64_t bytes, bool writes,
                     bool atomic, bool copies);

  llvm::Module& module_;
  llvm::Value* group_;
  llvm::DenseMap<llvm::Value*, Origin> arguments_;
  simd::StaticMemory variables_;
};

}  // namespace mfa::jit
