// SPDX-License-Identifier: MIT
// Blocks, branches, phis and masks of the vector program.
//
// A block runs under a mask of active lanes and is skipped when none is. Where lanes come together
// again, every incoming edge writes its lanes of a phi into a stack slot; promotion to registers
// afterwards turns slots into phis and selects.
#include "llvm/ADT/PostOrderIterator.h"
#include "llvm/CodeGen/TargetSubtargetInfo.h"
#include "llvm/IR/Module.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/Utils/PromoteMemToReg.h"
#include "simd/emit.h"
#include "simd/matrix_types.h"
#include "simd/program.h"
#include "simd/prologue.h"

namespace mfa::simd {

using namespace llvm;

Emitter::Emitter(Function& source, Control& control, TargetMachine& target, bool whole)
    : source_(source),
      control_(control),
      module_(*source.getParent()),
      layout_(module_.getDataLayout()),
      b_(source.getContext(), InstSimplifyFolder(layout_)),
      whole_(whole) {
  auto& subtarget = *target.getSubtargetImpl(source);
  // x86 names; on other targets masked accesses are expanded by lane, which is always right.
  bool avx512 = subtarget.checkFeatures("+avx512f");
  wide_masks_ = subtarget.checkFeatures("+avx512bw");
  gathers_ = avx512 || subtarget.checkFeatures("+avx2,+fast-gather");
  scatters_ = avx512;
  cheap_masks_ = avx512;
  table_lookup_ = avx512;
  SmallVector<Constant*, MFA_SIMD_WIDTH> numbers;
  for (unsigned l = 0; l < MFA_SIMD_WIDTH; l++) numbers.push_back(b_.getInt32(l));
  lane_numbers_ = ConstantVector::get(numbers);
}

void Emitter::fail(const std::string& what) {
  if (error_.empty()) error_ = what;
}

Value* Emitter::bits(Value* mask) { return b_.CreateBitCast(mask, b_.getIntNTy(MFA_SIMD_WIDTH)); }
/// mask and condition, where the condition may be poison in lanes that are not active.
Value* Emitter::both(Value* mask, Value* condition) {
  return b_.CreateSelect(mask, condition, Constant::getNullValue(mask->getType()));
}
Value* Emitter::any(Value* mask) { return b_.CreateICmpNE(bits(mask), b_.getInt32(0)); }

void Emitter::entry() {
  result_ = Function::Create(source_.getFunctionType(), GlobalValue::ExternalLinkage, "", module_);
  result_->copyAttributesFrom(&source_);
  result_->removeFnAttr(Attribute::Convergent);
  for (unsigned i = 0; i < 3; i++) {
    result_->getArg(i)->setName(source_.getArg(i)->getName());
    set_scalar(source_.getArg(i), result_->getArg(i));
  }
  result_->addParamAttr(2, Attribute::NoAlias);
  result_->addParamAttr(2, Attribute::getWithAlignment(source_.getContext(), Align(64)));
  b_.SetInsertPoint(BasicBlock::Create(source_.getContext(), "entry", result_));
  if (whole_) {
    // Loads and stores need no mask then. Where memory is far away that matters: not every CPU
    // fetches ahead of masked accesses.
    masks_[&source_.getEntryBlock()] = ConstantInt::getTrue(
        VectorType::get(b_.getInt1Ty(), ElementCount::getFixed(MFA_SIMD_WIDTH)));
    return;
  }
  // Lanes beyond the last thread of the group never run.
  IRBuilder<> plain(b_.GetInsertBlock());
  GroupAccess access(plain, result_->getArg(0));
  Value* threads = plain.CreateMul(plain.CreateMul(access.group_size(0), access.group_size(1)),
                                   access.group_size(2));
  Value* left =
      plain.CreateSub(threads, plain.CreateMul(result_->getArg(1), plain.getInt32(MFA_SIMD_WIDTH)));
  b_.SetInsertPoint(plain.GetInsertBlock());
  masks_[&source_.getEntryBlock()] =
      b_.CreateICmpULT(lane_numbers_, b_.CreateVectorSplat(MFA_SIMD_WIDTH, left), "active");
}

/// The block that decided who comes to `block`: the immediate dominator, or, where that lies in a
/// loop left since, the block before the loop.
BasicBlock* Emitter::parting(BasicBlock* block) {
  BasicBlock* from = control_.dominators.getNode(block)->getIDom()->getBlock();
  for (Loop* l = control_.loops.getLoopFor(from); l && !l->contains(block); l = l->getParentLoop())
    from = l->getLoopPreheader();
  return from;
}

/// The lanes that are active on entry of `block`; all its predecessors but back edges are done.
Value* Emitter::block_mask(BasicBlock* block) {
  if (auto it = masks_.find(block); it != masks_.end()) return it->second;
  BasicBlock* from = parting(block);
  Value* mask = block_mask(from);
  if (control_.dominators.getNode(block)->getIDom()->getBlock() == from) {
    if (control_.divergent_branch(*from)) {
      BasicBlock* join = control_.post_dominators.getNode(from)->getIDom()->getBlock();
      if (join != block) {
        auto* branch = cast<BranchInst>(from->getTerminator());
        Value* condition = vector(branch->getCondition());
        if (branch->getSuccessor(0) != block) condition = b_.CreateNot(condition);
        mask = both(mask, condition);
      }
    }
  }
  return masks_[block] = mask;
}

/// Lanes with `mask` go from `from` to `to`: their values of the phis there.
void Emitter::edge(BasicBlock* from, BasicBlock* to, Value* mask) {
  if (!joins_.count(to)) return;
  SmallVector<std::pair<AllocaInst*, Value*>, 8> stores;
  for (PHINode& node : to->phis()) {
    Value* value = node.getIncomingValueForBlock(from);
    if (isa<UndefValue>(value)) continue;  // whatever is there
    AllocaInst* slot = slots_[&node];
    Value* fresh;
    if (matrix_element(node.getType())) {
      SmallVector<int, 64> twice;
      for (unsigned r = 0; r < 8; r++)
        for (unsigned c = 0; c < 8; c++)
          for (unsigned l = 0; l < MFA_SIMD_WIDTH; l++)
            if (lane_row(l) == r && lane_column(l) == (c & ~1u)) twice.push_back(l);
      Value* old = b_.CreateLoad(slot->getAllocatedType(), slot);
      fresh = b_.CreateSelect(b_.CreateShuffleVector(mask, twice), tile(value), old);
    } else if (control_.divergent(&node)) {
      Value* old = b_.CreateLoad(slot->getAllocatedType(), slot);
      fresh = b_.CreateSelect(mask, vector(value), old);
    } else {
      fresh = scalar(value);
    }
    stores.push_back({slot, fresh});
  }
  for (auto& [slot, value] : stores) b_.CreateStore(value, slot);
}

void Emitter::terminator(Instruction& inst) {
  if (isa<ReturnInst>(inst)) {
    b_.CreateRetVoid();
    return;
  }
  auto* branch = cast<BranchInst>(&inst);
  BasicBlock* block = inst.getParent();
  if (branch->isUnconditional()) {
    edge(block, branch->getSuccessor(0), mask_);
    b_.CreateBr(begin_[branch->getSuccessor(0)]);
    return;
  }
  BasicBlock *yes = branch->getSuccessor(0), *no = branch->getSuccessor(1);
  if (!control_.divergent(branch->getCondition())) {
    Value* condition = scalar(branch->getCondition());
    // An edge that has something to write gets a block of its own.
    auto hop = [&](BasicBlock* to) {
      if (!joins_.count(to) || to->phis().empty()) return begin_[to];
      auto here = b_.saveIP();
      auto* between = BasicBlock::Create(b_.getContext(), "", result_);
      b_.SetInsertPoint(between);
      edge(block, to, mask_);
      b_.CreateBr(begin_[to]);
      b_.restoreIP(here);
      return between;
    };
    BasicBlock* y = hop(yes);
    BasicBlock* n = yes == no ? y : hop(no);
    b_.CreateCondBr(condition, y, n);
    return;
  }
  Value* condition = vector(branch->getCondition());
  Value* taken = both(mask_, condition);
  Value* other = both(mask_, b_.CreateNot(condition));
  Loop* loop = control_.loops.getLoopFor(block);
  if (loop && loop->getLoopLatch() == block && loop->isLoopExiting(block)) {
    bool back = yes == loop->getHeader();
    Value* stay = back ? taken : other;
    edge(block, back ? no : yes, back ? other : taken);
    b_.CreateCondBr(any(stay), begin_[loop->getHeader()], begin_[back ? no : yes]);
    BasicBlock* before = loop->getLoopPreheader();
    PHINode* live = live_[loop->getHeader()];
    live->addIncoming(block_mask(before), end_[before]);
    live->addIncoming(stay, b_.GetInsertBlock());
    close(live);
    return;
  }
  BasicBlock* join = control_.post_dominators.getNode(block)->getIDom()->getBlock();
  bool first = no == join;  // the conditional part is successor 0
  edge(block, join, first ? other : taken);
  if (yes == no) {
    b_.CreateBr(begin_[join]);
    return;
  }
  b_.CreateCondBr(any(first ? taken : other), begin_[first ? yes : no], begin_[join]);
}

/// A phi whose values are not known yet. The builder folds as it goes, and LLVM believes everything
/// of a phi without operands, so until close() there is one that nothing is known of.
PHINode* Emitter::open_phi(Type* type, unsigned count, const char* name) {
  PHINode* phi = b_.CreatePHI(type, count + 1, name);
  BasicBlock& first = result_->getEntryBlock();
  Value*& unknown = unknown_[type];
  if (!unknown) unknown = new FreezeInst(PoisonValue::get(type), "", first.begin());
  phi->addIncoming(unknown, &first);
  return phi;
}

/// Call it when the phi has its true operands.
void Emitter::close(PHINode* phi) { phi->removeIncomingValue(0u, false); }

void Emitter::phi(PHINode& node) {
  Lanes& out = map_[&node];
  Type* element = matrix_element(node.getType());
  bool divergent = element || control_.divergent(&node);
  Type* type = element     ? FixedVectorType::get(element, 64)
               : divergent ? static_cast<Type*>(wide(node.getType()))
                           : node.getType();
  Value* value;
  if (joins_.count(node.getParent())) {
    value = b_.CreateLoad(type, slots_[&node]);
  } else {
    auto* ours = open_phi(type, node.getNumIncomingValues());
    pending_.push_back({&node, ours});
    value = ours;
  }
  (element ? out.tile : divergent ? out.vector : out.scalar) = value;
  if (divergent && !element && !joins_.count(node.getParent())) induction(node);
}

/// A loop's counter that starts as base plus offsets and steps by the same in all lanes stays that:
/// lanes of one round have made equally many steps.
void Emitter::induction(PHINode& node) {
  Loop* loop = control_.loops.getLoopFor(node.getParent());
  if (!loop || loop->getHeader() != node.getParent() || !loop->getLoopPreheader() ||
      !loop->getLoopLatch() || !node.getType()->isIntegerTy() || node.getType()->isIntegerTy(1))
    return;
  auto* step = dyn_cast<BinaryOperator>(node.getIncomingValueForBlock(loop->getLoopLatch()));
  if (!step || (step->getOpcode() != Instruction::Add && step->getOpcode() != Instruction::Sub) ||
      step->getOperand(0) != &node || control_.divergent(step->getOperand(1)))
    return;
  Lanes start;
  if (!affine_operand(node.getIncomingValueForBlock(loop->getLoopPreheader()), start)) return;
  PHINode* base = open_phi(node.getType(), 2, "base");
  bases_.push_back({&node, base});
  Lanes& out = map_[&node];
  out.base = base;
  out.offsets = start.offsets;
  out.guard = start.guard;
}

void Emitter::finish_phis() {
  for (auto& [source, base] : bases_)
    for (unsigned i = 0; i < source->getNumIncomingValues(); i++) {
      Lanes from;
      if (!affine_operand(source->getIncomingValue(i), from) ||
          from.offsets != map_[source].offsets)
        return fail("a counter whose lanes part");
      base->addIncoming(from.base, end_[source->getIncomingBlock(i)]);
    }
  for (auto& [source, base] : bases_) close(base);
  for (auto& [source, ours] : pending_)
    for (unsigned i = 0; i < source->getNumIncomingValues(); i++) {
      BasicBlock* from = end_[source->getIncomingBlock(i)];
      b_.SetInsertPoint(from->getTerminator());
      Value* value = source->getIncomingValue(i);
      Value* ready = matrix_element(source->getType()) ? tile(value)
                     : control_.divergent(source)      ? vector(value)
                                                       : scalar(value);
      ours->addIncoming(ready, from);
    }
  for (auto& [source, ours] : pending_) close(ours);
}

Result<Function*> Emitter::run() {
  entry();
  place_private();
  ReversePostOrderTraversal<Function*> order(&source_);
  for (BasicBlock* block : order)
    begin_[block] = BasicBlock::Create(source_.getContext(), block->getName(), result_);
  // Where lanes come together: joins of divergent branches and exits of divergent loops.
  for (BasicBlock* block : order) {
    if (!control_.divergent_branch(*block)) continue;
    Loop* loop = control_.loops.getLoopFor(block);
    if (loop && loop->getLoopLatch() == block && loop->isLoopExiting(block))
      joins_.insert(loop->getExitBlock());
    else
      joins_.insert(control_.post_dominators.getNode(block)->getIDom()->getBlock());
  }
  DenseMap<BasicBlock*, SmallVector<BasicBlock*, 2>> resets;
  for (BasicBlock* block : joins_) {
    resets[parting(block)].push_back(block);
    for (PHINode& node : block->phis()) {
      Type* element = matrix_element(node.getType());
      Type* type = element                     ? FixedVectorType::get(element, 64)
                   : control_.divergent(&node) ? static_cast<Type*>(wide(node.getType()))
                                               : node.getType();
      slots_[&node] = b_.CreateAlloca(type);
    }
  }
  b_.CreateBr(begin_[&source_.getEntryBlock()]);

  for (BasicBlock* block : order) {
    b_.SetInsertPoint(begin_[block]);
    Loop* loop = control_.loops.getLoopFor(block);
    if (loop && loop->getHeader() == block) {
      Value* before = block_mask(loop->getLoopPreheader());
      BasicBlock* latch = loop->getLoopLatch();
      if (latch && control_.divergent_branch(*latch) && loop->isLoopExiting(latch)) {
        PHINode* live = open_phi(before->getType(), 2, "live");
        live_[block] = live;
        masks_[block] = live;
      } else {
        masks_[block] = before;
      }
    }
    // Phis first: the mask may need instructions.
    for (PHINode& node : block->phis()) phi(node);
    mask_ = block_mask(block);
    // A slot's content from an earlier round of an enclosing loop is dead where the lanes part.
    for (BasicBlock* join : resets[block])
      for (PHINode& node : join->phis())
        b_.CreateStore(PoisonValue::get(slots_[&node]->getAllocatedType()), slots_[&node]);
    for (Instruction& inst : *block) {
      if (isa<PHINode>(inst)) continue;
      if (inst.isTerminator())
        terminator(inst);
      else
        instruction(inst);
      if (!error_.empty()) return Error{error_};
    }
    end_[block] = b_.GetInsertBlock();
  }
  finish_phis();
  if (!error_.empty()) return Error{error_};
  SmallVector<AllocaInst*, 16> promote;
  for (auto& [node, slot] : slots_) promote.push_back(slot);
  DominatorTree tree(*result_);
  PromoteMemToReg(promote, tree);
  return {result_};
}

}  // namespace mfa::simd
