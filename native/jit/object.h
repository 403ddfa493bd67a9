// SPDX-License-Identifier: MIT
// LLVM module -> object file -> code in memory. The bytes in between may be kept anywhere.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace llvm {
class Module;
class TargetMachine;
}  // namespace llvm

namespace mfa::jit {

/// A relocatable object of this process's architecture. Holds no addresses.
using ObjectBytes = std::vector<char>;

/// Generates code. The module is used up.
Result<ObjectBytes> emit_object(llvm::Module& module, llvm::TargetMachine& target);

/// The assembly text of the same, for people.
Result<std::string> emit_assembly(llvm::Module& module, llvm::TargetMachine& target);

/// The stack one call into the object needs at most: no function of it calls itself.
Result<uint32_t> stack_bytes(const ObjectBytes& object);

/// Code in memory; frees it when destroyed.
class LoadedObject {
 public:
  virtual ~LoadedObject() = default;
  /// Null if there is no such function.
  virtual void* find(const std::string& symbol) const = 0;
  virtual size_t bytes() const = 0;
};

/// Links an object against the symbols of jit/symbols.h. Any other undefined symbol is refused by
/// name.
Result<std::unique_ptr<LoadedObject>> load_object(const ObjectBytes& object);

}  // namespace mfa::jit
