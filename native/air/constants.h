// SPDX-License-Identifier: MIT
// Function-constant values -> initialisers of the module's globals, before anything is folded.
#pragma once

#include "air/reflect.h"
#include "air/specialize.h"

namespace mfa::air {

/// A required constant without a value, or a value of another type, is an error.
Result<void> bind_constants(llvm::Module& module, const KernelMetadata& metadata,
                            const ConstantValues& values, const FunctionRecord& record);

/// The functions of `llvm.global_ctors`.
std::vector<llvm::Function*> constructors(const llvm::Module& module);

/// After the constructor has been evaluated: which arguments exist. Deletes `llvm.compiler.used`
/// and the empty list of constructors.
Result<void> settle_predicates(llvm::Module& module, KernelMetadata& metadata,
                               const FunctionRecord& record);

/// The MTLDataType of an MSL type name ("uint", "float4"), or 0.
uint8_t data_type(const std::string& name);

}  // namespace mfa::air
