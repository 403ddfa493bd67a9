// SPDX-License-Identifier: MIT
// The CPU code is generated for, and the code generator's settings.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"

namespace llvm {
class Function;
class Module;
class TargetMachine;
}  // namespace llvm

namespace mfa::jit {

/// A machine for this CPU, for one thread's use. MFA_CPU=name takes another CPU's features,
/// MFA_CPU_FEATURES=-avx512f,+fma switches single ones; unknown names are refused.
Result<std::unique_ptr<llvm::TargetMachine>> make_target();

/// Sets the attributes of every function of `module` that the code generator goes by.
void prepare_functions(llvm::Module& module, const llvm::TargetMachine& target);

/// Name of the CPU and its features, or why there is none.
std::string target_description();

/// All that make_target() goes by. Empty if it fails.
std::string target_identity();

}  // namespace mfa::jit
