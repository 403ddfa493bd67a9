// SPDX-License-Identifier: MIT
// A canonical kernel -> a scalar program for one lane whose inputs are the executor's structs.
//
// The program has the signature of mfa_simdgroup_entry. `mfa.lane()` gives the lane's number; every
// other value follows from it and from memory. Matrices are named structs of two elements, the ones
// a lane holds; `mfa.matrix.*` calls take their place (see matrix_types.h). Nothing but scalars,
// such structs and pointers is left.
#pragma once

#include "air/specialize.h"
#include "base/result.h"
#include "exec/code.h"

namespace llvm {
class Value;
}

namespace mfa::simd {

inline constexpr const char* lane_function = "mfa.lane";

/// Replaces the kernel by the program; returns it.
Result<llvm::Function*> make_program(air::Specialized& kernel, llvm::TargetMachine& target,
                                     exec::Shape shape);

/// True for the program's own lane number call.
bool is_lane(const llvm::Value* value);

}  // namespace mfa::simd
