// SPDX-License-Identifier: MIT
// The shape of a register-blocked multiplication -> a function of the module.
#include "simd/tile_kernel.h"

#include "llvm/IR/IRBuilder.h"

namespace mfa::simd::tiles {

using namespace llvm;

namespace {

Value* at(IRBuilder<>& b, Value* pointer, int64_t bytes) {
  return bytes ? b.CreateConstGEP1_64(b.getInt8Ty(), pointer, bytes) : pointer;
}

/// Two halves side by side.
Value* join(IRBuilder<>& b, Value* low, Value* high) {
  SmallVector<int, 16> mask;
  for (int i = 0; i < 16; i++) mask.push_back(i);
  return b.CreateShuffleVector(low, high, mask);
}

Value* half(IRBuilder<>& b, Value* v, bool high) {
  SmallVector<int, 8> mask;
  for (int i = 0; i < 8; i++) mask.push_back(i + 8 * high);
  return b.CreateShuffleVector(v, mask);
}

/// Columns [first, first + tiles) of the block share one register per row.
struct Part {
  unsigned first, tiles;
};

}  // namespace

Function* kernel(Module& m, const Function& like, const KernelShape& shape) {
  LLVMContext& c = m.getContext();
  IRBuilder<> b(c);
  Type *pointer = b.getPtrTy(), *i64 = b.getInt64Ty(), *f32 = b.getFloatTy();
  auto* type =
      FunctionType::get(b.getVoidTy(), {pointer, pointer, pointer, i64, i64, i64, i64}, false);
  auto* f = Function::Create(type, GlobalValue::InternalLinkage, "mfa_tile", m);
  for (const char* name : {"target-cpu", "target-features", "prefer-vector-width"})
    if (like.hasFnAttribute(name)) f->addFnAttr(like.getFnAttribute(name));
  f->addFnAttr("min-legal-vector-width", std::to_string(shape.lanes * 32));
  f->addFnAttr(Attribute::NoUnwind);
  f->addFnAttr(Attribute::NoInline);  // one copy per shape keeps compilation short
  f->addParamAttr(2, Attribute::NoAlias);

  unsigned columns = shape.b_tiles.size();
  SmallVector<Part, 8> parts;
  for (unsigned w = 0; w < columns;) {
    unsigned n = shape.lanes == 16 && w + 1 < columns ? 2 : 1;
    parts.push_back({w, n});
    w += n;
  }
  auto vec = [&](const Part& p) { return FixedVectorType::get(f32, 8 * p.tiles); };
  // A row of one part of B or C, from where its tiles lie.
  auto read = [&](Value* base, const Part& p, const std::vector<int64_t>& tiles, bool b_operand) {
    int64_t o = tiles[p.first];
    auto* eight = FixedVectorType::get(f32, 8);
    if (p.tiles == 1) return (Value*)b.CreateAlignedLoad(eight, at(b, base, o), Align(4));
    if (b_operand && tiles[p.first + 1] == o + 32)
      return (Value*)b.CreateAlignedLoad(vec(p), at(b, base, o), Align(4));
    return join(b, b.CreateAlignedLoad(eight, at(b, base, o), Align(4)),
                b.CreateAlignedLoad(eight, at(b, base, tiles[p.first + 1]), Align(4)));
  };

  auto* entry = BasicBlock::Create(c, "entry", f);
  auto* loop = BasicBlock::Create(c, "k", f);
  auto* exit = BasicBlock::Create(c, "exit", f);
  b.SetInsertPoint(entry);
  Value* a_row = shape.a_row ? b.getInt64(shape.a_row) : (Value*)f->getArg(4);
  Value* a_column = shape.a_column ? b.getInt64(shape.a_column) : (Value*)f->getArg(5);
  Value* b_row = shape.b_row ? b.getInt64(shape.b_row) : (Value*)f->getArg(6);
  std::vector<std::vector<Value*>> acc(8, std::vector<Value*>(parts.size()));
  for (unsigned r = 0; r < 8; r++)
    for (unsigned q = 0; q < parts.size(); q++)
      acc[r][q] = shape.zero ? Constant::getNullValue(vec(parts[q]))
                             : read(at(b, f->getArg(2), r * 32), parts[q], shape.c_tiles, false);
  b.CreateBr(loop);

  b.SetInsertPoint(loop);
  PHINode* left = b.CreatePHI(i64, 2);
  PHINode* ap = b.CreatePHI(pointer, 2);
  PHINode* bp = b.CreatePHI(pointer, 2);
  left->addIncoming(f->getArg(3), entry);
  ap->addIncoming(f->getArg(0), entry);
  bp->addIncoming(f->getArg(1), entry);
  std::vector<PHINode*> phis;
  for (auto& row : acc)
    for (Value*& x : row) {
      PHINode* p = b.CreatePHI(x->getType(), 2);
      p->addIncoming(x, entry);
      phis.push_back(p);
      x = p;
    }
  for (unsigned k = 0; k < 8; k++) {
    Value* b_at = b.CreateGEP(f32, bp, b.CreateMul(b_row, b.getInt64(k)));
    SmallVector<Value*, 8> rows;
    for (const Part& p : parts) rows.push_back(read(b_at, p, shape.b_tiles, true));
    for (unsigned r = 0; r < 8; r++) {
      Value* index =
          b.CreateAdd(b.CreateMul(a_row, b.getInt64(r)), b.CreateMul(a_column, b.getInt64(k)));
      Value* x = b.CreateAlignedLoad(f32, b.CreateGEP(f32, ap, index), Align(4));
      for (unsigned q = 0; q < parts.size(); q++)
        acc[r][q] =
            b.CreateIntrinsic(vec(parts[q]), Intrinsic::fmuladd,
                              {b.CreateVectorSplat(8 * parts[q].tiles, x), rows[q], acc[r][q]});
    }
  }
  unsigned n = 0;
  for (auto& row : acc)
    for (Value* x : row) phis[n++]->addIncoming(x, loop);
  Value* rest = b.CreateSub(left, b.getInt64(1));
  left->addIncoming(rest, loop);
  ap->addIncoming(at(b, ap, shape.a_step), loop);
  bp->addIncoming(at(b, bp, shape.b_step), loop);
  b.CreateCondBr(b.CreateICmpNE(rest, b.getInt64(0)), loop, exit);

  b.SetInsertPoint(exit);
  for (unsigned r = 0; r < 8; r++)
    for (unsigned q = 0; q < parts.size(); q++)
      for (unsigned t = 0; t < parts[q].tiles; t++) {
        Value* x = parts[q].tiles == 2 ? half(b, acc[r][q], t) : acc[r][q];
        b.CreateAlignedStore(x, at(b, f->getArg(2), shape.c_tiles[parts[q].first + t] + r * 32),
                             Align(4));
      }
  b.CreateRetVoid();
  return f;
}

}  // namespace mfa::simd::tiles
