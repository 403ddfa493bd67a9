// SPDX-License-Identifier: MIT
// The steps of specialise() that bring IR into the canonical form, one function each.
#pragma once

#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/PassManager.h>

#include "air/reflection.h"
#include "air/specialize.h"

namespace mfa::air {

/// Before optimisation: host triple and layout, no debug information, no attributes of Apple's
/// target, helpers internal and always inlined, no flags that promise the absence of NaN.
void adopt_target(llvm::Module& module, llvm::Function& kernel, llvm::TargetMachine& target);

/// The constructors' stores -> initialisers of the constants they compute, where they are folded to
/// stores of constants, and no more constructors. False: some do more, and are left.
bool evaluate_constructors(llvm::Module& module);

/// Folds what is constant and drops the code behind branches that are never taken.
void fold_constants(llvm::Function& function);

/// sdiv, udiv, srem, urem: a divisor of 0, and INT_MIN / -1, become a division by 1.
void guard_divisions(llvm::Function& function);

/// memcpy, memmove and memset -> loads and stores, or a loop where they are long.
void expand_memory_calls(llvm::Function& function);

/// Whether a call stays a call: a copy of 9 to 64 bytes that does not touch private memory.
bool keeps_whole(const llvm::MemIntrinsic& call);

/// half and bfloat arithmetic -> float arithmetic with one rounding per operation. bfloat rounding
/// is integer arithmetic unless the CPU rounds itself.
void widen_half(llvm::Function& function);

/// bfloat values that are only moved -> 16-bit integers, for CPUs without bfloat instructions.
void soften_bfloat(llvm::Function& function);

/// Loads through a phi or select of private variables -> a choice of values. True if any changed.
bool fold_pointer_choices(llvm::Function& function);

/// Asks for full unrolling of loops that walk a private array, which then becomes registers.
void request_unrolling(llvm::Function& function, llvm::FunctionAnalysisManager& analyses);

/// Refuses by name what the vectoriser and the reference path do not know.
Result<void> check(const llvm::Function& kernel, const Reflection& reflection,
                   const FunctionRecord& record);

/// Bytes of the threadgroup globals, one after the other in module order, each aligned; a multiple
/// of 16. As simd and jit lay them out.
uint32_t threadgroup_bytes(const llvm::Module& module);

}  // namespace mfa::air
