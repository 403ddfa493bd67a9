// SPDX-License-Identifier: MIT
// The shape of a register-blocked multiplication -> a function of the module.
#include "simd/tile_kernel.h"

#include <algorithm>

#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/IntrinsicsX86.h"
#include "simd/tile_move.h"

namespace mfa::simd::tiles {

using namespace llvm;

namespace {

/// Columns of neighbouring tiles that share one register per row.
struct Part {
  unsigned first, tiles;
};

class Writer {
 public:
  Writer(Function* f, const KernelShape& shape) : f_(f), shape_(shape), b_(f->getContext()) {
    unsigned columns = shape.b_tiles.size();
    for (unsigned w = 0; w < columns;) {
      unsigned n = shape.lanes == 16 && w + 1 < columns ? 2 : 1;
      parts_.push_back({w, n});
      w += n;
    }
    bfloat_ = shape.operands != Operands::floats;
    element_ = bfloat_ ? b_.getInt16Ty() : b_.getFloatTy();
    element_bytes_ = bfloat_ ? 2 : 4;
  }

  void run() {
    const size_t columns = shape_.b_tiles.size();
    auto* entry = BasicBlock::Create(f_->getContext(), "entry", f_);
    b_.SetInsertPoint(entry);
    a_row_ = shape_.a_row ? b_.getInt64(shape_.a_row) : (Value*)f_->getArg(4);
    a_column_ = shape_.a_column ? b_.getInt64(shape_.a_column) : (Value*)f_->getArg(5);
    b_row_ = shape_.b_row ? b_.getInt64(shape_.b_row) : (Value*)f_->getArg(6);
    a_ = f_->getArg(0);
    c_ = f_->getArg(2);
    if (shape_.lanes == 16 || columns == 1) {
      pass(8);
    } else {
      halves(entry);
    }
    b_.CreateRetVoid();
  }

 private:
  FixedVectorType* vec(Type* t, unsigned n) { return FixedVectorType::get(t, n); }
  FixedVectorType* floats(const Part& p) { return vec(b_.getFloatTy(), 8 * p.tiles); }

  Value* at(Value* pointer, int64_t bytes) {
    return bytes ? b_.CreateConstGEP1_64(b_.getInt8Ty(), pointer, bytes) : pointer;
  }
  /// `each` elements from every one of these offsets, side by side.
  Value* gather(Value* base, ArrayRef<int64_t> offsets, unsigned each, Type* t, unsigned bytes) {
    bool together = true;
    for (unsigned i = 1; i < offsets.size(); i++)
      together &= offsets[i] == offsets[0] + int64_t(i * each * bytes);
    unsigned n = together ? each * offsets.size() : each;
    Value* v = b_.CreateAlignedLoad(vec(t, n), at(base, offsets[0]), Align(bytes));
    for (unsigned i = 1; !together && i < offsets.size(); i++) {
      Value* next = b_.CreateAlignedLoad(vec(t, each), at(base, offsets[i]), Align(bytes));
      SmallVector<int, 32> mask;
      for (unsigned j = 0; j < 2 * each; j++) mask.push_back(j);
      v = b_.CreateShuffleVector(v, next, mask);  // at most two tiles lie apart
    }
    return v;
  }
  static ArrayRef<int64_t> tiles(const std::vector<int64_t>& all, const Part& p) {
    return ArrayRef<int64_t>(all).slice(p.first, p.tiles);
  }

  Value* c_row(unsigned row) {
    return at(c_, int64_t(row) * accumulator_row(shape_.lanes) * int64_t(sizeof(float)));
  }
  Value* read_c(unsigned row, const Part& p) {
    return gather(c_row(row), tiles(shape_.c_tiles, p), 8, b_.getFloatTy(), 4);
  }
  void write_c(unsigned row, const Part& p, Value* x) {
    auto offsets = tiles(shape_.c_tiles, p);
    if (offsets.size() == 1 || offsets[1] == offsets[0] + 32) {
      b_.CreateAlignedStore(x, at(c_row(row), offsets[0]), Align(4));
      return;
    }
    for (unsigned t = 0; t < offsets.size(); t++) {
      SmallVector<int, 8> mask;
      for (int i = 0; i < 8; i++) mask.push_back(i + 8 * int(t));
      b_.CreateAlignedStore(b_.CreateShuffleVector(x, mask), at(c_row(row), offsets[t]), Align(4));
    }
  }

  /// The parts of row k of B; of rows 2k and 2k + 1, interleaved, where elements are bfloat.
  void read_b(Value* base, unsigned k, SmallVectorImpl<Value*>& result) {
    if (shape_.operands == Operands::bfloat_pairs) {
      Value* pair = at(base, int64_t(k) * 32);
      for (const Part& p : parts_)
        result.push_back(gather(pair, tiles(shape_.b_tiles, p), 16, element_, 2));
      return;
    }
    auto row = [&](unsigned i) {
      return b_.CreateGEP(element_, base, b_.CreateMul(b_row_, b_.getInt64(i)));
    };
    if (!bfloat_) {
      Value* from = row(k);
      for (const Part& p : parts_)
        result.push_back(gather(from, tiles(shape_.b_tiles, p), 8, element_, 4));
      return;
    }
    Value *even = row(2 * k), *odd = row(2 * k + 1);
    for (unsigned q = 0; q < parts_.size(); q++) {
      // Two parts that lie together are read at once and taken apart as they are interleaved.
      SmallVector<int64_t, 4> offsets(tiles(shape_.b_tiles, parts_[q]));
      unsigned together = 1;
      if (q + 1 < parts_.size() && parts_[q].tiles == 2 && parts_[q + 1].tiles == 2) {
        SmallVector<int64_t, 4> four = offsets;
        four.append(tiles(shape_.b_tiles, parts_[q + 1]).begin(),
                    tiles(shape_.b_tiles, parts_[q + 1]).end());
        bool near = true;
        for (unsigned i = 1; i < 4; i++) near &= four[i] == four[0] + 16 * int64_t(i);
        if (near) {
          offsets = four;
          together = 2;
        }
      }
      Value* x = gather(even, offsets, 8, element_, 2);
      Value* y = gather(odd, offsets, 8, element_, 2);
      int n = int(cast<FixedVectorType>(x->getType())->getNumElements()), half = n / int(together);
      for (unsigned i = 0; i < together; i++) {
        SmallVector<int, 32> mask;
        for (int j = 0; j < half; j++) {
          mask.push_back(int(i) * half + j);
          mask.push_back(n + int(i) * half + j);
        }
        result.push_back(b_.CreateShuffleVector(x, y, mask));
      }
      q += together - 1;
    }
  }

  /// Element (row, k) of A in every lane; elements 2k and 2k + 1 where they are bfloat.
  Value* read_a(Value* base, unsigned row, unsigned k) {
    Value* first = b_.CreateMul(a_row_, b_.getInt64(row));
    Type* t = bfloat_ ? b_.getInt32Ty() : b_.getFloatTy();
    Value* index = b_.CreateAdd(
        first, bfloat_ ? b_.getInt64(int64_t(2) * k) : b_.CreateMul(a_column_, b_.getInt64(k)));
    return b_.CreateAlignedLoad(t, b_.CreateGEP(element_, base, index), Align(element_bytes_));
  }

  Value* multiply(const Part& p, Value* x, Value* y, Value* sum) {
    unsigned n = 8 * p.tiles;
    Value* all = b_.CreateVectorSplat(n, x);
    if (!bfloat_) return b_.CreateIntrinsic(floats(p), Intrinsic::fmuladd, {all, y, sum});
    Type* t = vec(b_.getBFloatTy(), 2 * n);
    Intrinsic::ID id =
        n == 16 ? Intrinsic::x86_avx512bf16_dpbf16ps_512 : Intrinsic::x86_avx512bf16_dpbf16ps_256;
    return b_.CreateIntrinsic(id, {}, {sum, b_.CreateBitCast(all, t), b_.CreateBitCast(y, t)});
  }

  /// Four rows of C, then the other four.
  void halves(BasicBlock* entry) {
    auto* half = BasicBlock::Create(f_->getContext(), "half", f_);
    auto* done = BasicBlock::Create(f_->getContext(), "done", f_);
    b_.CreateBr(half);
    b_.SetInsertPoint(half);
    PHINode *a = b_.CreatePHI(b_.getPtrTy(), 2), *c = b_.CreatePHI(b_.getPtrTy(), 2);
    PHINode* upper = b_.CreatePHI(b_.getInt1Ty(), 2);
    a->addIncoming(a_, entry);
    c->addIncoming(c_, entry);
    upper->addIncoming(b_.getTrue(), entry);
    a_ = a;
    c_ = c;
    pass(4);
    BasicBlock* end = b_.GetInsertBlock();
    a->addIncoming(b_.CreateGEP(element_, a, b_.CreateMul(a_row_, b_.getInt64(4))), end);
    c->addIncoming(c_row(4), end);
    upper->addIncoming(b_.getFalse(), end);
    b_.CreateCondBr(upper, half, done);
    b_.SetInsertPoint(done);
  }

  /// The first rows of C.
  void pass(unsigned rows) {
    auto* before = b_.GetInsertBlock();
    auto* loop = BasicBlock::Create(f_->getContext(), "k", f_);
    auto* exit = BasicBlock::Create(f_->getContext(), "exit", f_);
    std::vector<std::vector<Value*>> sums(rows, std::vector<Value*>(parts_.size()));
    for (unsigned r = 0; r < rows; r++)
      for (unsigned q = 0; q < parts_.size(); q++)
        sums[r][q] = shape_.zero ? Constant::getNullValue(floats(parts_[q])) : read_c(r, parts_[q]);
    b_.CreateBr(loop);

    b_.SetInsertPoint(loop);
    PHINode* left = b_.CreatePHI(b_.getInt64Ty(), 2);
    PHINode* ap = b_.CreatePHI(b_.getPtrTy(), 2);
    PHINode* bp = b_.CreatePHI(b_.getPtrTy(), 2);
    left->addIncoming(f_->getArg(3), before);
    ap->addIncoming(a_, before);
    bp->addIncoming(f_->getArg(1), before);
    std::vector<PHINode*> phis;
    for (auto& row : sums)
      for (Value*& x : row) {
        PHINode* p = b_.CreatePHI(x->getType(), 2);
        p->addIncoming(x, before);
        phis.push_back(p);
        x = p;
      }
    for (unsigned k = 0; k < (bfloat_ ? 4 : 8); k++) {
      SmallVector<Value*, 8> parts;
      read_b(bp, k, parts);
      for (unsigned r = 0; r < rows; r++) {
        Value* x = read_a(ap, r, k);
        for (unsigned q = 0; q < parts_.size(); q++)
          sums[r][q] = multiply(parts_[q], x, parts[q], sums[r][q]);
      }
    }
    unsigned n = 0;
    for (auto& row : sums)
      for (Value* x : row) phis[n++]->addIncoming(x, loop);
    Value* rest = b_.CreateSub(left, b_.getInt64(1));
    left->addIncoming(rest, loop);
    ap->addIncoming(at(ap, shape_.a_step), loop);
    bp->addIncoming(at(bp, shape_.b_step), loop);
    b_.CreateCondBr(b_.CreateICmpNE(rest, b_.getInt64(0)), loop, exit);

    b_.SetInsertPoint(exit);
    for (unsigned r = 0; r < rows; r++)
      for (unsigned q = 0; q < parts_.size(); q++) write_c(r, parts_[q], sums[r][q]);
  }

  Function* f_;
  const KernelShape& shape_;
  IRBuilder<> b_;
  SmallVector<Part, 8> parts_;
  bool bfloat_ = false;
  Type* element_ = nullptr;
  unsigned element_bytes_ = 4;
  Value *a_ = nullptr, *c_ = nullptr;
  Value *a_row_ = nullptr, *a_column_ = nullptr, *b_row_ = nullptr;
};

}  // namespace

unsigned columns_of_call(unsigned columns, unsigned lanes) {
  if (lanes == 16) return std::min(columns, 4u);
  // As equal as can be: sums of one or two tiles are too few to hide what an addition takes.
  constexpr unsigned most = 3;
  unsigned calls = (columns + most - 1) / most;
  return (columns + calls - 1) / calls;
}

Function* kernel(Module& m, const Function& like, const KernelShape& shape) {
  Type *pointer = PointerType::get(m.getContext(), 0), *i64 = Type::getInt64Ty(m.getContext());
  Function* f = outlined(m, like, "mfa_tile", {pointer, pointer, pointer, i64, i64, i64, i64},
                         shape.lanes * 32);
  f->addParamAttr(2, Attribute::NoAlias);
  Writer(f, shape).run();
  return f;
}

}  // namespace mfa::simd::tiles
