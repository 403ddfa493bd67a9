// SPDX-License-Identifier: MIT
// A function's control flow -> a numbering of its blocks in which lanes that lag behind come first.
#include "jit/site_order.h"

#include <algorithm>

#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Analysis/LoopInfo.h"
#include "llvm/IR/CFG.h"
#include "llvm/IR/Function.h"

namespace mfa::jit {
namespace {

using llvm::BasicBlock;
using llvm::Loop;

/// One level of the loop nest. Its nodes are the blocks that belong to `loop` directly and the
/// loops just inside, each represented by its header.
class Level {
 public:
  Level(const llvm::LoopInfo& loops, const Loop* loop) : loops_(loops), loop_(loop) {}

  /// The nodes reachable from `entry` in topological order: a depth-first search, reversed.
  std::vector<BasicBlock*> sort(BasicBlock* entry) const {
    struct Frame {
      BasicBlock* node;
      llvm::SmallVector<BasicBlock*, 4> successors;
      size_t next = 0;
    };
    std::vector<BasicBlock*> finished;
    llvm::DenseSet<BasicBlock*> seen{entry};
    std::vector<Frame> stack{{entry, successors(entry)}};
    while (!stack.empty()) {
      Frame& top = stack.back();
      if (top.next == top.successors.size()) {
        finished.push_back(top.node);
        stack.pop_back();
        continue;
      }
      BasicBlock* successor = top.successors[top.next++];
      if (seen.insert(successor).second) stack.push_back({successor, successors(successor)});
    }
    std::reverse(finished.begin(), finished.end());
    return finished;
  }

  /// The loop just inside this level that contains `block`; null if it belongs here directly.
  const Loop* inner(const BasicBlock* block) const {
    const Loop* loop = loops_.getLoopFor(block);
    if (loop == loop_) return nullptr;
    while (loop && loop->getParentLoop() != loop_) loop = loop->getParentLoop();
    return loop;
  }

 private:
  llvm::SmallVector<BasicBlock*, 4> successors(BasicBlock* node) const {
    llvm::SmallVector<BasicBlock*, 4> targets, nodes;
    if (const Loop* loop = inner(node))
      loop->getExitBlocks(targets);
    else
      targets.append(llvm::succ_begin(node), llvm::succ_end(node));
    for (BasicBlock* target : targets) {
      if (loop_ && (target == loop_->getHeader() || !loop_->contains(target))) continue;
      const Loop* loop = inner(target);
      nodes.push_back(loop ? loop->getHeader() : target);
    }
    return nodes;
  }

  const llvm::LoopInfo& loops_;
  const Loop* loop_;
};

void append(const llvm::LoopInfo& loops, const Loop* loop, BasicBlock* entry,
            std::vector<BasicBlock*>& out) {
  Level level(loops, loop);
  for (BasicBlock* node : level.sort(entry)) {
    const Loop* inner = level.inner(node);
    if (inner)
      append(loops, inner, inner->getHeader(), out);
    else
      out.push_back(node);
  }
}

}  // namespace

std::vector<BasicBlock*> site_order(llvm::Function& function, const llvm::LoopInfo& loops) {
  std::vector<BasicBlock*> order;
  append(loops, nullptr, &function.getEntryBlock(), order);
  return order;
}

}  // namespace mfa::jit
