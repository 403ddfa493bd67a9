// SPDX-License-Identifier: MIT
// Gives one kernel's module the function constants it uses, as AIR encodes them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "air/metallib.h"
#include "llvm/IR/Module.h"
#include "metalc/unit.h"

namespace mfa::metalc {

struct BoundConstants {
  std::vector<air::ConstantRecord> records;
  /// Per argument of the kernel: its predicate global, or null.
  std::vector<llvm::GlobalVariable*> predicates;
  std::string error;
};

/// Writes initialisers, mirrors, the constructor and `!air.function_constants`. Constructors of
/// constants that the kernel does not use go away.
BoundConstants bind_constants(llvm::Module& module, llvm::Function& function, const Kernel& kernel,
                              const Unit& unit);

}  // namespace mfa::metalc
