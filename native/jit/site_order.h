// SPDX-License-Identifier: MIT
// A function's control flow -> a numbering of its blocks in which lanes that lag behind come first.
#pragma once

#include <vector>

namespace llvm {
class BasicBlock;
class Function;
class LoopInfo;
}  // namespace llvm

namespace mfa::jit {

/// Topological order of the blocks without back edges in which the blocks of a loop are
/// neighbours, so that everything after a loop comes after all of it. (A plain reverse post order
/// may put an exit before the rest of the loop.) Unreachable blocks are left out.
std::vector<llvm::BasicBlock*> site_order(llvm::Function& function, const llvm::LoopInfo& loops);

}  // namespace mfa::jit
