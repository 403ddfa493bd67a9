// SPDX-License-Identifier: MIT
// Chains of tile multiplications -> calls of register-blocked functions on operands in memory.
//
// Accumulators (phis that multiplications feed) live in scratch memory, the tiles that one call
// works on side by side.
// Multiplications are collected until memory changes or a result is looked at, then
//   chains   over k  : D1 = A0 B0 + C, D2 = A1 B1 + D1, ...
//   groups   over n  : chains with the same A in every step and neighbouring B
// become one call per group: A is read element by element, B row by row, C stays in registers.
#include <algorithm>
#include <optional>

#include "llvm/ADT/MapVector.h"
#include "llvm/IR/Dominators.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/Target/TargetMachine.h"
#include "simd/tile_calls.h"
#include "simd/tile_kernel.h"
#include "simd/tile_move.h"
#include "simd/tiles.h"

namespace mfa::simd::tiles {

using namespace llvm;

namespace {

constexpr int64_t tile_bytes = 256;

/// Where an operand's 64 elements lie in memory.
struct Place {
  Value* base = nullptr;
  int64_t offset = 0;
  Value *row = nullptr, *column = nullptr;  // strides in elements
  bool pairs = false;                       // Operands::bfloat_pairs
  bool near(const Place& o) const {
    return base == o.base && row == o.row && column == o.column && pairs == o.pairs;
  }
  bool operator==(const Place& o) const { return near(o) && offset == o.offset; }
};

struct Chain {
  SmallVector<CallInst*, 8> steps;
  SmallVector<Place, 8> a, b;
  std::optional<int64_t> slot;  // scratch offset of C and D
  bool zero = false, bfloat = false;
};

class Grouper {
 public:
  Grouper(Function& f, const TargetMachine& target, uint32_t scratch)
      : f_(f), tree_(f), top_(scratch), b_(f.getContext()) {
    const MCSubtargetInfo& cpu = *target.getMCSubtargetInfo();
    lanes_ = cpu.checkFeatures("+avx512f") ? 16 : 8;
    bfloat_products_ = cpu.checkFeatures("+avx512bf16");
  }

  uint32_t run() {
    drop_trivial_phis();
    demote_phis();
    SmallVector<BasicBlock*, 32> blocks;
    for (BasicBlock& block : f_) blocks.push_back(&block);
    for (BasicBlock* block : blocks) scan(*block);
    write_phis();
    for (Instruction* inst : dead_)
      if (!inst->getType()->isVoidTy() && !inst->use_empty())
        inst->replaceAllUsesWith(PoisonValue::get(inst->getType()));
    for (Instruction* inst : reverse(dead_)) inst->eraseFromParent();
    return top_;
  }

 private:
  static bool fits(const Value* v) {  // FP32 accumulation
    auto* c = cast<CallInst>(v);
    return c->getType()->getScalarType()->isFloatTy() &&
           c->getArgOperand(2)->getType()->getScalarType()->isFloatTy();
  }

  int64_t take(int64_t bytes) {
    int64_t at = top_;
    top_ += (bytes + 63) / 64 * 64;
    return at;
  }
  /// The next accumulators are a row of so many tiles.
  void begin_row(size_t tiles) {
    row_left_ = unsigned(tiles);
    block_left_ = 0;
  }
  /// Room for an accumulator; those that one call works on share their rows.
  int64_t take_accumulator() {
    if (block_left_ == 0) {
      block_left_ = columns_of_call(std::max(row_left_, 1u), lanes_);
      accumulator_ = take(block_bytes());
      blocks_[accumulator_] = block_left_;
      row_left_ -= std::min(row_left_, block_left_);
    }
    block_left_--;
    int64_t slot = accumulator_;
    accumulator_ += 32;
    return slot;
  }
  int64_t block_bytes() const { return 8 * 4 * accumulator_row(lanes_); }
  Value* slot_row() { return b_.getInt64(accumulator_row(lanes_)); }
  Value* pointer(int64_t offset) {
    return b_.CreateConstInBoundsGEP1_64(b_.getInt8Ty(), f_.getArg(2), offset);
  }
  Value* read_slot(int64_t slot) {
    return read_tile(b_, b_.getFloatTy(), pointer(slot), slot_row(), b_.getInt64(1));
  }
  void write_slot(int64_t slot, Value* tile) {
    write_tile(b_, convert(b_, tile, b_.getFloatTy()), pointer(slot), slot_row(), b_.getInt64(1));
  }

  Value* flat(Value* p) {
    return p->getType()->getPointerAddressSpace() ? b_.CreateAddrSpaceCast(p, b_.getPtrTy()) : p;
  }
  /// Eight lines of eight consecutive FP32 elements.
  struct Lines {
    Value *base, *stride;
    bool transposed;  // lines are columns
  };
  static std::optional<Lines> lines(Value* base, Value* row, Value* column) {
    auto one = [](Value* v) {
      auto* c = dyn_cast<ConstantInt>(v);
      return c && c->isOne();
    };
    if (one(column)) return Lines{base, row, false};
    if (one(row)) return Lines{base, column, true};
    return {};
  }
  Lines slot_lines(int64_t slot) { return {pointer(slot), slot_row(), false}; }
  void move(const Lines& to, const Lines& from) {
    bool transposed = to.transposed != from.transposed;
    Function*& f = movers_[transposed];
    if (!f) f = mover(*f_.getParent(), f_, transposed);
    auto bytes = [&](Value* elements) { return b_.CreateMul(elements, b_.getInt64(4)); };
    b_.CreateCall(f, {flat(to.base), flat(from.base), bytes(to.stride), bytes(from.stride)});
  }
  /// Where a tile was loaded from, if it is still there.
  std::optional<Lines> loaded(Value* value) {
    auto it = loads_.find(dyn_cast<Instruction>(value));
    if (it == loads_.end() || it->second != epoch_) return {};
    auto* c = cast<CallInst>(it->first);
    return lines(c->getArgOperand(0), c->getArgOperand(1), c->getArgOperand(2));
  }
  /// The same for FP32.
  std::optional<Lines> source(Value* value) {
    if (!value->getType()->getScalarType()->isFloatTy()) return {};
    return loaded(value);
  }
  /// Turns a store of FP32 into a copy.
  bool store_from(const Lines& from, Instruction* user) {
    if (tile_op(user) != TileOp::store) return false;
    auto* c = cast<CallInst>(user);
    auto to = lines(c->getArgOperand(1), c->getArgOperand(2), c->getArgOperand(3));
    if (!to || !c->getArgOperand(0)->getType()->getScalarType()->isFloatTy()) return false;
    b_.SetInsertPoint(c);
    move(*to, from);
    dead_.push_back(c);
    return true;
  }

  Value* base_of(Value* pointer, int64_t& bytes) const {
    APInt offset(64, 0);
    pointer =
        pointer->stripAndAccumulateConstantOffsets(f_.getParent()->getDataLayout(), offset, true);
    bytes = offset.getSExtValue();
    return pointer;
  }
  Value* behind(Value* base, int64_t bytes) {
    return flat(bytes ? b_.CreateConstGEP1_64(b_.getInt8Ty(), base, bytes) : base);
  }

  /// A copy of an operand in scratch memory.
  Place copy(Value* v, bool rows, bool bfloat) {
    int64_t slot = take(bfloat ? tile_bytes / 2 : tile_bytes);
    bool pairs = rows && bfloat;
    Place place{f_.getArg(2), slot, b_.getInt64(8), b_.getInt64(1), pairs};
    if (auto from = loaded(v)) {
      Type* type = v->getType()->getScalarType();
      if (type->isFloatTy() && !bfloat) {
        move({pointer(slot), b_.getInt64(8), false}, *from);
        return place;
      }
      int64_t offset = 0;
      Value* base = base_of(from->base, offset);
      packs_.push_back({{type, from->transposed, bfloat, pairs}, slot, base, offset, from->stride});
      return place;
    }
    if (pairs) {
      SmallVector<int, 64> mask;  // [k / 2][column][k % 2]
      for (int i = 0; i < 64; i++) mask.push_back((i / 16 * 2 + i % 2) * 8 + i / 2 % 8);
      v = b_.CreateShuffleVector(v, mask);
    }
    Value* as = bfloat ? v : convert(b_, v, b_.getFloatTy());
    write_tile(b_, as, pointer(slot), b_.getInt64(8), b_.getInt64(1));
    return place;
  }

  void drop_trivial_phis() {
    for (BasicBlock& block : f_)
      for (PHINode& phi : make_early_inc_range(block.phis())) {
        Value* only = phi.hasConstantValue();
        if (!only || !phi.getType()->isVectorTy()) continue;
        auto* inst = dyn_cast<Instruction>(only);
        if (inst && !tree_.dominates(inst, &phi)) continue;
        phi.replaceAllUsesWith(only);
        phi.eraseFromParent();
      }
  }

  /// Phis that are accumulators get a slot each; they are read where they are used.
  void demote_phis() {
    SmallVector<PHINode*, 64> found;
    for (BasicBlock& block : f_)
      for (PHINode& phi : block.phis()) {
        auto* type = dyn_cast<FixedVectorType>(phi.getType());
        if (!type || type->getNumElements() != 64 || !type->getElementType()->isFloatTy()) continue;
        bool wanted = false;
        for (Value* v : phi.incoming_values()) wanted |= tile_op(v) == TileOp::multiply && fits(v);
        for (User* u : phi.users())
          wanted |= tile_op(u) == TileOp::multiply && fits(u) &&
                    cast<CallInst>(u)->getArgOperand(2) == &phi;
        if (wanted) found.push_back(&phi);
      }
    // Tiles that are multiplied by the same A are neighbours, in the order they are computed.
    DenseMap<PHINode*, CallInst*> first;
    for (Instruction& inst : instructions(f_))
      if (tile_op(&inst) == TileOp::multiply)
        if (auto* phi = dyn_cast<PHINode>(inst.getOperand(2)))
          first.try_emplace(phi, cast<CallInst>(&inst));
    MapVector<Value*, SmallVector<PHINode*, 16>> rows;
    DenseMap<CallInst*, unsigned> order;
    for (Instruction& inst : instructions(f_))
      if (auto* call = dyn_cast<CallInst>(&inst)) order[call] = order.size();
    for (PHINode* phi : found) {
      CallInst* m = first.lookup(phi);
      rows[m ? m->getArgOperand(0) : nullptr].push_back(phi);
    }
    for (auto& [a, row] : rows) {
      begin_row(row.size());
      std::sort(row.begin(), row.end(), [&](PHINode* x, PHINode* y) {
        return order.lookup(first.lookup(x)) < order.lookup(first.lookup(y));
      });
      for (PHINode* phi : row) {
        slots_[phi] = take_accumulator();
        phis_.push_back(phi);
      }
    }
  }

  /// The slot of phi `c` may be updated in place by the chain that ends in `d`.
  bool in_place(PHINode* c, CallInst* d) {
    if (!c->hasOneUse() || c->getNumIncomingValues() != 2) return false;
    for (unsigned i = 0; i < 2; i++)
      if (c->getIncomingValue(i) == d)
        return tree_.dominates(c->getIncomingBlock(1 - i), c->getParent());
    return false;
  }

  /// The slot of `v` still holds it where the builder stands: a phi's slot is overwritten at the
  /// end of the loop, which code behind the loop may have passed.
  bool current(Value* v) {
    auto* phi = dyn_cast<PHINode>(v);
    BasicBlock* here = b_.GetInsertBlock();
    if (!phi || here == phi->getParent()) return true;
    auto [known, added] = current_.try_emplace({phi->getParent(), here}, true);
    if (added) known->second = !passed(phi->getParent(), here);
    return known->second;
  }
  /// A path leads from the end of a loop that begins at `home` to `here`, not through `home`.
  bool passed(BasicBlock* home, BasicBlock* here) {
    // LLVM's isPotentiallyReachable() gives up, and says yes, after a few dozen blocks.
    SmallPtrSet<BasicBlock*, 32> seen{home};
    SmallVector<BasicBlock*, 32> reached;
    auto reach = [&](BasicBlock* from) {
      for (BasicBlock* next : successors(from))
        if (seen.insert(next).second) reached.push_back(next);
    };
    for (BasicBlock* from : predecessors(home))
      if (tree_.dominates(home, from) && from != here) reach(from);
    while (!reached.empty()) {
      BasicBlock* block = reached.pop_back_val();
      if (block == here) return true;
      reach(block);
    }
    return false;
  }

  void scan(BasicBlock& block) {
    epoch_ = 0;
    loads_.clear();
    for (Instruction& inst : make_early_inc_range(block)) {
      if (isa<PHINode>(inst)) continue;
      TileOp op = tile_op(&inst);
      if (op == TileOp::multiply && fits(&inst)) {
        auto& m = cast<CallInst>(inst);
        auto* c = dyn_cast<CallInst>(m.getArgOperand(2));
        bool extends = c && pending_set_.count(c) && c->hasOneUse() && bfloat(c) == bfloat(&m);
        if (pending_set_.count(m.getArgOperand(0)) || pending_set_.count(m.getArgOperand(1)) ||
            (c && pending_set_.count(c) && !extends))
          flush(&inst);
        pending_.push_back(&m);
        pending_set_.insert(&m);
        continue;
      }
      bool looks = inst.isTerminator();
      for (Value* o : inst.operands()) looks |= pending_set_.count(o) != 0;
      if (looks || inst.mayWriteToMemory()) flush(&inst);
      if (op == TileOp::store)
        if (auto from = source(inst.getOperand(0))) store_from(*from, &inst);
      if (inst.mayWriteToMemory()) epoch_++;
      if (op == TileOp::load) loads_[&inst] = epoch_;
    }
  }

  /// Both operands of a multiplication are bfloat, and the CPU multiplies those.
  bool bfloat(CallInst* m) const {
    auto is = [](Value* v) { return v->getType()->getScalarType()->isBFloatTy(); };
    return bfloat_products_ && is(m->getArgOperand(0)) && is(m->getArgOperand(1));
  }

  /// Where operand `v` lies in memory now, as FP32 or bfloat; copies it to scratch where it does
  /// not. B operands need consecutive columns, and so do A operands of bfloat.
  Place operand(Value* v, bool rows, bool bfloat) {
    auto key = std::make_tuple(v, rows, bfloat);
    if (auto it = places_.find(key); it != places_.end()) return it->second;
    Place p;
    if (auto it = slots_.find(v); it != slots_.end() && !bfloat && current(v)) {
      p = {f_.getArg(2), it->second, slot_row(), b_.getInt64(1)};
    } else {
      auto it2 = loads_.find(dyn_cast<Instruction>(v));
      auto* c = it2 != loads_.end() ? cast<CallInst>(it2->first) : nullptr;
      Type* wanted = bfloat ? b_.getBFloatTy() : b_.getFloatTy();
      bool direct = c && it2->second == epoch_ && c->getType()->getScalarType() == wanted;
      auto* one = c ? dyn_cast<ConstantInt>(c->getArgOperand(2)) : nullptr;
      if (direct && ((!rows && !bfloat) || (one && one->isOne()))) {
        p.base = base_of(c->getArgOperand(0), p.offset);
        p.row = c->getArgOperand(1);
        p.column = c->getArgOperand(2);
      } else {
        p = copy(v, rows, bfloat);
      }
    }
    return places_[key] = p;
  }

  void flush(Instruction* before) {
    if (pending_.empty()) return;
    b_.SetInsertPoint(before);
    places_.clear();
    // Chains.
    std::vector<Chain> chains;
    DenseMap<Value*, unsigned> ends;
    for (CallInst* m : pending_) {
      auto it = ends.find(m->getArgOperand(2));
      unsigned index = it != ends.end() ? it->second : chains.size();
      if (it != ends.end())
        ends.erase(it);
      else
        chains.emplace_back().bfloat = bfloat(m);
      chains[index].steps.push_back(m);
      ends[m] = index;
    }
    // Operands of all chains; B first, so that copies of neighbours lie at equal distances.
    for (Chain& c : chains)
      for (CallInst* m : c.steps) c.b.push_back(operand(m->getArgOperand(1), true, c.bfloat));
    for (Chain& c : chains)
      for (CallInst* m : c.steps) c.a.push_back(operand(m->getArgOperand(0), false, c.bfloat));
    emit_packs(f_, b_, f_.getArg(2), packs_, packers_);
    for (Chain& c : chains) {
      auto* k = dyn_cast<Constant>(c.steps[0]->getArgOperand(2));
      c.zero = k && k->isZeroValue();
    }
    std::vector<std::vector<Chain*>> rows;
    std::vector<bool> used(chains.size());
    for (unsigned i = 0; i < chains.size(); i++) {
      if (used[i]) continue;
      std::vector<Chain*>& row = rows.emplace_back();
      for (unsigned j = i; j < chains.size(); j++)
        if (!used[j] && same_row(chains[i], chains[j])) {
          row.push_back(&chains[j]);
          used[j] = true;
        }
      std::sort(row.begin(), row.end(),
                [](const Chain* x, const Chain* y) { return x->b[0].offset < y->b[0].offset; });
    }
    for (auto& row : rows) {
      begin_row(row.size());
      for (Chain* c : row) start(*c);
    }
    for (auto& row : rows)
      for (size_t i = 0; i < row.size();) {
        size_t n = 1;
        while (i + n < row.size() && parallel(*row[i], *row[i + n])) n++;
        n = columns_of_call(n, lanes_);
        emit({row.begin() + i, row.begin() + i + n});
        i += n;
      }
    for (Chain& c : chains)
      for (CallInst* m : c.steps) dead_.push_back(m);
    for (Chain& c : chains) replace(c.steps.back(), *c.slot);
    pending_.clear();
    pending_set_.clear();
  }

  /// Puts C where the chain will work.
  void start(Chain& c) {
    Value* value = c.steps[0]->getArgOperand(2);
    if (c.zero) {
      c.slot = take_accumulator();
      return;
    }
    auto* phi = dyn_cast<PHINode>(value);
    auto it = slots_.find(value);
    bool valid = it != slots_.end() && current(value);
    if (phi && valid && in_place(phi, c.steps.back())) {
      c.slot = it->second;
      return;
    }
    c.slot = take_accumulator();
    if (valid) {
      move(slot_lines(*c.slot), slot_lines(it->second));
    } else if (auto from = source(value)) {
      move(slot_lines(*c.slot), *from);
    } else {
      write_slot(*c.slot, value);
    }
  }

  /// The same A in every step and B from the same memory.
  static bool same_row(const Chain& x, const Chain& y) {
    if (x.steps.size() != y.steps.size() || x.zero != y.zero || x.bfloat != y.bfloat) return false;
    for (unsigned k = 0; k < x.steps.size(); k++)
      if (!(x.a[k] == y.a[k]) || !x.b[k].near(y.b[k])) return false;
    return true;
  }
  /// B of `y` lies at the same distance from B of `x` in every step.
  static bool parallel(const Chain& x, const Chain& y) {
    for (unsigned k = 1; k < x.steps.size(); k++)
      if (y.b[k].offset - x.b[k].offset != y.b[0].offset - x.b[0].offset) return false;
    return true;
  }

  static int64_t constant(Value* v) {
    auto* c = dyn_cast<ConstantInt>(v);
    return c ? c->getSExtValue() : 0;
  }

  void emit(const std::vector<Chain*>& group) {
    Chain& first = *group[0];
    unsigned length = first.steps.size();
    for (unsigned k = 0; k < length;) {
      // The longest run with regular steps.
      unsigned n = 1;
      int64_t da = 0, db = 0;
      for (; k + n < length; n++) {
        const Place &a0 = first.a[k + n - 1], &a1 = first.a[k + n];
        const Place &b0 = first.b[k + n - 1], &b1 = first.b[k + n];
        if (!a0.near(a1) || !b0.near(b1)) break;
        if (n == 1) {
          da = a1.offset - a0.offset;
          db = b1.offset - b0.offset;
        } else if (a1.offset - a0.offset != da || b1.offset - b0.offset != db) {
          break;
        }
      }
      KernelShape shape;
      const Place &a = first.a[k], &b = first.b[k];
      shape.operands = !first.bfloat ? Operands::floats
                       : b.pairs     ? Operands::bfloat_pairs
                                     : Operands::bfloats;
      shape.a_row = constant(a.row);
      shape.a_column = constant(a.column);
      shape.b_row = constant(b.row);
      shape.a_step = da;
      shape.b_step = db;
      shape.zero = first.zero && k == 0;
      shape.lanes = lanes_;
      for (Chain* c : group) {
        shape.b_tiles.push_back(c->b[k].offset - b.offset);
        shape.c_tiles.push_back(*c->slot - *first.slot);
      }
      Function*& fn = kernels_[shape];
      if (!fn) fn = kernel(*f_.getParent(), f_, shape);
      auto at = [&](const Place& p) { return behind(p.base, p.offset); };
      b_.CreateCall(fn,
                    {at(a), at(b), pointer(*first.slot), b_.getInt64(n), a.row, a.column, b.row});
      k += n;
    }
  }

  /// The result of `d` now lies in `slot`; whoever looks at it reads it there.
  void replace(CallInst* d, int64_t slot) {
    slots_[d] = slot;
    for (Use& use : make_early_inc_range(d->uses())) {
      auto* user = cast<Instruction>(use.getUser());
      if (tile_op(user) == TileOp::multiply && fits(user)) continue;  // finds it in slots_
      if (auto* phi = dyn_cast<PHINode>(user)) {
        if (slots_.count(phi)) continue;  // write_phis
        b_.SetInsertPoint(phi->getIncomingBlock(use)->getTerminator());
      } else {
        b_.SetInsertPoint(user);
        if (store_from(slot_lines(slot), user)) continue;
      }
      use.set(read_slot(slot));
    }
  }

  /// Fills the slots of phis at the end of their predecessors and reads them where they are used.
  void write_phis() {
    DenseMap<BasicBlock*, SmallVector<std::pair<int64_t, Value*>, 8>> moves;
    SmallVector<BasicBlock*, 16> order;
    for (PHINode* phi : phis_)
      for (unsigned i = 0; i < phi->getNumIncomingValues(); i++) {
        BasicBlock* from = phi->getIncomingBlock(i);
        Value* v = phi->getIncomingValue(i);
        int64_t slot = slots_[phi];
        auto it = slots_.find(v);
        if (isa<UndefValue>(v) || (it != slots_.end() && it->second == slot)) continue;
        if (!moves.count(from)) order.push_back(from);
        moves[from].push_back({slot, v});
      }
    for (BasicBlock* from : order) {
      b_.SetInsertPoint(from->getTerminator());
      SmallVector<std::pair<int64_t, Value*>, 8> ready;  // all reads before any write
      for (auto& [slot, v] : moves[from]) {
        auto it = slots_.find(v);
        ready.push_back({slot, it != slots_.end() ? read_slot(it->second) : v});
      }
      write_all(ready);
    }
    SmallPtrSet<Instruction*, 32> gone(dead_.begin(), dead_.end());
    for (PHINode* phi : phis_) {
      // Other users see the value as of the block's start.
      Value* copy = nullptr;
      for (Use& use : make_early_inc_range(phi->uses())) {
        auto* user = cast<Instruction>(use.getUser());
        if (auto* p = dyn_cast<PHINode>(user); p && slots_.count(p)) continue;
        if (gone.count(user)) continue;
        if (!copy) {
          b_.SetInsertPoint(phi->getParent(), phi->getParent()->getFirstInsertionPt());
          copy = read_slot(slots_[phi]);
        }
        use.set(copy);
      }
    }
    for (PHINode* phi : phis_) dead_.push_back(phi);
  }

  /// Zeros side by side are one call.
  void write_all(SmallVectorImpl<std::pair<int64_t, Value*>>& moves) {
    SmallVector<int64_t, 64> zeros;
    for (auto& [slot, v] : moves) {
      auto* constant = dyn_cast<Constant>(v);
      if (constant && constant->isZeroValue())
        zeros.push_back(slot);
      else
        write_slot(slot, v);
    }
    std::sort(zeros.begin(), zeros.end());
    for (size_t i = 0; i < zeros.size();) {
      // Blocks that are zeros as a whole, one behind the other; where a tile is missing, tile by
      // tile.
      int64_t begin = zeros[i], end = begin;
      for (auto block = blocks_.find(begin); block != blocks_.end() && block->first == end;
           ++block) {
        size_t n = 0;
        while (n < block->second && i + n < zeros.size() && zeros[i + n] == end + int64_t(n) * 32)
          n++;
        if (n < block->second) break;
        i += n;
        end += block_bytes();
      }
      if (end == begin)
        write_slot(zeros[i++], Constant::getNullValue(FixedVectorType::get(b_.getFloatTy(), 64)));
      else
        b_.CreateMemSet(pointer(begin), b_.getInt8(0), uint64_t(end - begin), Align(64));
    }
  }

  Function& f_;
  DominatorTree tree_;
  uint32_t top_;
  IRBuilder<> b_;
  unsigned lanes_;
  bool bfloat_products_;
  Function* movers_[2] = {};
  std::map<Packing, Function*> packers_;
  std::vector<Pack> packs_;
  unsigned row_left_ = 0, block_left_ = 0;  // accumulators not taken yet
  int64_t accumulator_ = 0;
  std::map<int64_t, unsigned> blocks_;  // of accumulators that share rows: how many
  unsigned epoch_ = 0;
  DenseMap<Instruction*, unsigned> loads_;
  std::map<std::tuple<Value*, bool, bool>, Place> places_;
  DenseMap<Value*, int64_t> slots_;
  DenseMap<std::pair<BasicBlock*, BasicBlock*>, bool> current_;
  SmallVector<PHINode*, 64> phis_;
  SmallVector<CallInst*, 64> pending_;
  SmallPtrSet<Value*, 32> pending_set_;
  SmallVector<Instruction*, 128> dead_;
  std::map<KernelShape, Function*> kernels_;
};

}  // namespace

uint32_t group_multiplications(Function& f, const TargetMachine& target, uint32_t scratch_bytes) {
  bool any = false;
  for (Instruction& inst : instructions(f)) any |= tile_op(&inst) == TileOp::multiply;
  return any ? Grouper(f, target, scratch_bytes).run() : scratch_bytes;
}

}  // namespace mfa::simd::tiles
