// SPDX-License-Identifier: MIT
// A way to copy a tile -> a function of the module.
#include "simd/tile_move.h"

#include "simd/tile_calls.h"

namespace mfa::simd::tiles {

using namespace llvm;

/// One copy per module keeps compilation short.
Function* outlined(Module& m, const Function& like, const char* name, ArrayRef<Type*> parameters,
                   unsigned vector_bits) {
  auto* type = FunctionType::get(Type::getVoidTy(m.getContext()), parameters, false);
  auto* f = Function::Create(type, GlobalValue::InternalLinkage, name, m);
  for (const char* attribute : {"target-cpu", "target-features", "prefer-vector-width"})
    if (like.hasFnAttribute(attribute)) f->addFnAttr(like.getFnAttribute(attribute));
  f->addFnAttr("min-legal-vector-width", std::to_string(vector_bits));
  f->addFnAttr(Attribute::NoUnwind);
  f->addFnAttr(Attribute::NoInline);
  return f;
}

namespace {

/// By pairs of elements, of pairs, of fours.
void transpose(IRBuilder<>& b, SmallVectorImpl<Value*>& rows) {
  constexpr int masks[3][2][8] = {{{0, 8, 1, 9, 4, 12, 5, 13}, {2, 10, 3, 11, 6, 14, 7, 15}},
                                  {{0, 1, 8, 9, 4, 5, 12, 13}, {2, 3, 10, 11, 6, 7, 14, 15}},
                                  {{0, 1, 2, 3, 8, 9, 10, 11}, {4, 5, 6, 7, 12, 13, 14, 15}}};
  for (unsigned stage = 0; stage < 3; stage++) {
    // Afterwards place i + half * distance holds what the pair (i, i + distance) gives.
    unsigned distance = 1u << stage;
    SmallVector<Value*, 8> next(8);
    for (unsigned i = 0; i < 8; i++)
      if (!(i & distance))
        for (unsigned half = 0; half < 2; half++)
          next[i + half * distance] =
              b.CreateShuffleVector(rows[i], rows[i + distance], masks[stage][half]);
    rows.assign(next.begin(), next.end());
  }
  for (unsigned i : {1u, 5u}) std::swap(rows[i], rows[i + 1]);  // places count bits the other way
}

}  // namespace

Function* mover(Module& m, const Function& like, bool transposed) {
  Type *pointer = PointerType::get(m.getContext(), 0), *i64 = Type::getInt64Ty(m.getContext());
  const char* name = transposed ? "mfa_tile_transpose" : "mfa_tile_move";
  Function* f = outlined(m, like, name, {pointer, pointer, i64, i64}, 256);
  IRBuilder<> b(BasicBlock::Create(m.getContext(), "entry", f));
  auto* row = FixedVectorType::get(b.getFloatTy(), 8);
  auto at = [&](unsigned argument, unsigned stride, unsigned r) {
    Value* bytes = b.CreateMul(f->getArg(stride), b.getInt64(r));
    return b.CreateGEP(b.getInt8Ty(), f->getArg(argument), bytes);
  };
  SmallVector<Value*, 8> rows;
  for (unsigned r = 0; r < 8; r++) rows.push_back(b.CreateAlignedLoad(row, at(1, 3, r), Align(4)));
  if (transposed) transpose(b, rows);
  for (unsigned r = 0; r < 8; r++) b.CreateAlignedStore(rows[r], at(0, 2, r), Align(4));
  b.CreateRetVoid();
  return f;
}

Function* packer(Module& m, const Function& like, const Packing& packing) {
  LLVMContext& c = m.getContext();
  Type *pointer = PointerType::get(c, 0), *i64 = Type::getInt64Ty(c);
  Function* f = outlined(m, like, "mfa_tile_pack", {pointer, pointer, i64, i64, i64}, 512);
  f->addParamAttr(0, Attribute::NoAlias);
  auto* entry = BasicBlock::Create(c, "entry", f);
  auto* loop = BasicBlock::Create(c, "tile", f);
  auto* exit = BasicBlock::Create(c, "exit", f);
  IRBuilder<> b(entry);
  b.CreateBr(loop);
  b.SetInsertPoint(loop);
  PHINode *to = b.CreatePHI(pointer, 2), *from = b.CreatePHI(pointer, 2);
  PHINode* left = b.CreatePHI(i64, 2);
  Value *line = f->getArg(2), *one = b.getInt64(1);
  Value* tile = packing.transposed ? read_tile(b, packing.from, from, one, line)
                                   : read_tile(b, packing.from, from, line, one);
  if (packing.pairs) {
    SmallVector<int, 64> mask;
    for (int i = 0; i < 64; i++) mask.push_back((i / 16 * 2 + i % 2) * 8 + i / 2 % 8);
    tile = b.CreateShuffleVector(tile, mask);
  }
  if (!packing.bfloat) tile = convert(b, tile, b.getFloatTy());
  write_tile(b, tile, to, b.getInt64(8), one);
  Value* rest = b.CreateSub(left, one);
  auto next = [&](PHINode* phi, unsigned argument, Value* then) {
    phi->addIncoming(f->getArg(argument), entry);
    phi->addIncoming(then, loop);
  };
  next(to, 0, b.CreateConstGEP1_64(b.getInt8Ty(), to, packing.bytes()));
  next(from, 1, b.CreateGEP(b.getInt8Ty(), from, f->getArg(4)));
  next(left, 3, rest);
  b.CreateCondBr(b.CreateICmpNE(rest, b.getInt64(0)), loop, exit);
  ReturnInst::Create(c, exit);
  return f;
}

/// `next` goes behind `last` and comes `step` bytes after it.
static bool follows(const Pack& last, const Pack& next, int64_t step) {
  return next.how.key() == last.how.key() && next.to == last.to + last.how.bytes() &&
         next.base == last.base && next.line == last.line && next.offset == last.offset + step;
}

void emit_packs(Function& f, IRBuilderBase& b, Value* scratch, std::vector<Pack>& packs,
                std::map<Packing, Function*>& packers) {
  auto at = [&](Value* base, int64_t bytes) {
    Value* p = bytes ? b.CreateConstGEP1_64(b.getInt8Ty(), base, bytes) : base;
    return p->getType()->getPointerAddressSpace() ? b.CreateAddrSpaceCast(p, b.getPtrTy()) : p;
  };
  for (size_t i = 0; i < packs.size();) {
    const Pack& first = packs[i];
    size_t n = 1;
    int64_t step = i + 1 < packs.size() ? packs[i + 1].offset - first.offset : 0;
    while (i + n < packs.size() && follows(packs[i + n - 1], packs[i + n], step)) n++;
    Function*& packing = packers[first.how];
    if (!packing) packing = packer(*f.getParent(), f, first.how);
    b.CreateCall(packing, {at(scratch, first.to), at(first.base, first.offset), first.line,
                           b.getInt64(n), b.getInt64(n == 1 ? 0 : step)});
    i += n;
  }
  packs.clear();
}

}  // namespace mfa::simd::tiles
