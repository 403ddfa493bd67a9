// SPDX-License-Identifier: MIT
// Loops that walk a private array -> the same loops marked for full unrolling.
#include <llvm/Analysis/LoopInfo.h>
#include <llvm/Analysis/ScalarEvolution.h>
#include <llvm/Analysis/ValueTracking.h>
#include <llvm/IR/Instructions.h>
#include <llvm/Transforms/Utils/LoopUtils.h>

#include "air/canonical.h"

namespace mfa::air {
namespace {

// Beyond this a private array is better left in memory.
constexpr unsigned kMaxTrips = 64;

bool walks_private_array(const llvm::Loop& loop) {
  for (const llvm::BasicBlock* block : loop.blocks()) {
    for (const llvm::Instruction& instruction : *block) {
      const llvm::Value* pointer = llvm::getLoadStorePointerOperand(&instruction);
      if (!pointer || loop.isLoopInvariant(pointer)) continue;
      if (llvm::isa<llvm::AllocaInst>(llvm::getUnderlyingObject(pointer))) return true;
    }
  }
  return false;
}

}  // namespace

void request_unrolling(llvm::Function& function, llvm::FunctionAnalysisManager& analyses) {
  auto& loops = analyses.getResult<llvm::LoopAnalysis>(function);
  auto& evolution = analyses.getResult<llvm::ScalarEvolutionAnalysis>(function);
  for (llvm::Loop* loop : loops.getLoopsInPreorder()) {
    const unsigned trips = evolution.getSmallConstantMaxTripCount(loop);
    if (trips == 0 || trips > kMaxTrips || !walks_private_array(*loop)) continue;
    if (llvm::findStringMetadataForLoop(loop, "llvm.loop.unroll.disable")) continue;
    if (!llvm::findStringMetadataForLoop(loop, "llvm.loop.unroll.full"))
      llvm::addStringMetadataToLoop(loop, "llvm.loop.unroll.full", 1);
  }
}

}  // namespace mfa::air
