// SPDX-License-Identifier: MIT
// Control flow of the lane program -> a form in which every divergent branch is an if without else
// or the only exit of a loop; and which values differ between lanes.
#pragma once

#include <memory>

#include "base/result.h"
#include "llvm/Analysis/LoopInfo.h"
#include "llvm/Analysis/PostDominators.h"
#include "llvm/Analysis/TargetTransformInfo.h"
#include "llvm/Analysis/UniformityAnalysis.h"
#include "llvm/IR/Dominators.h"

namespace mfa::simd {

/// Uniformity has two values: uniform (equal in all active lanes) and divergent, the safe default.
/// Sources of divergence: the lane number, private memory, prefix scans, shuffles with a varying
/// index, quad operations, atomics, matrices. Reductions, votes and broadcasts are uniform, as are
/// loads from uniform addresses. Valid until the program changes.
struct Control {
  llvm::DominatorTree dominators;
  llvm::PostDominatorTree post_dominators;
  llvm::LoopInfo loops;
  llvm::CycleInfo cycles;
  std::unique_ptr<llvm::TargetTransformInfo> model;
  std::unique_ptr<llvm::UniformityInfo> uniformity;

  bool divergent(const llvm::Value* value) const { return uniformity->isDivergent(value); }
  bool divergent_branch(const llvm::BasicBlock& block) const;
};

/// Brings `program` into that form, refuses what cannot be brought there.
Result<std::unique_ptr<Control>> structure(llvm::Function& program);

}  // namespace mfa::simd
