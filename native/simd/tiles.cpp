// SPDX-License-Identifier: MIT
// Tile calls -> plain vector code, and the simple lowering of each.
#include "simd/tiles.h"

#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Module.h"
#include "simd/tile_calls.h"

namespace mfa::simd::tiles {

using namespace llvm;

namespace {

FixedVectorType* vec(Type* t, unsigned n) { return FixedVectorType::get(t, n); }

std::string letter(Type* t) { return t->isFloatTy() ? "f32" : t->isHalfTy() ? "f16" : "bf16"; }

CallInst* call(IRBuilderBase& b, const std::string& name, Type* result, ArrayRef<Value*> args,
               bool reads, bool writes) {
  SmallVector<Type*, 4> types;
  for (Value* a : args) types.push_back(a->getType());
  Module& m = *b.GetInsertBlock()->getModule();
  auto fn = m.getOrInsertFunction(name, FunctionType::get(result, types, false));
  auto* f = cast<Function>(fn.getCallee());
  f->setDoesNotThrow();
  f->setWillReturn();
  if (!reads && !writes)
    f->setDoesNotAccessMemory();
  else if (!writes)
    f->setOnlyReadsMemory();
  else
    f->setOnlyWritesMemory();
  return b.CreateCall(fn, args);
}

std::string space(Value* pointer) {
  return ".p" + std::to_string(pointer->getType()->getPointerAddressSpace());
}

bool is_one(Value* v) {
  auto* c = dyn_cast<ConstantInt>(v);
  return c && c->isOne();
}

Value* address(IRBuilderBase& b, Type* t, Value* p, Value* stride, unsigned n) {
  return n ? b.CreateGEP(t, p, b.CreateMul(stride, b.getInt64(n))) : p;
}

Value* concatenate(IRBuilderBase& b, SmallVector<Value*, 8> parts) {
  while (parts.size() > 1) {
    SmallVector<Value*, 8> next;
    for (unsigned i = 0; i < parts.size(); i += 2) {
      unsigned n = 2 * cast<FixedVectorType>(parts[i]->getType())->getNumElements();
      SmallVector<int, 64> mask;
      for (unsigned j = 0; j < n; j++) mask.push_back(j);
      next.push_back(b.CreateShuffleVector(parts[i], parts[i + 1], mask));
    }
    parts = next;
  }
  return parts[0];
}

SmallVector<int, 64> transposition() {
  SmallVector<int, 64> mask;
  for (unsigned i = 0; i < 64; i++) mask.push_back(i % 8 * 8 + i / 8);
  return mask;
}

/// FP32 -> bfloat, round to nearest even; NaN stays NaN. The CPU's own instruction flushes
/// subnormal numbers.
Value* to_bfloat(IRBuilderBase& b, Value* x) {
  auto* type = cast<FixedVectorType>(x->getType());
  unsigned n = type->getNumElements();
  auto* words = vec(b.getInt32Ty(), n);
  auto k = [&](uint32_t v) { return b.CreateVectorSplat(n, b.getInt32(v)); };
  Value* w = b.CreateBitCast(x, words);
  Value* odd = b.CreateAnd(b.CreateLShr(w, k(16)), k(1));
  Value* rounded = b.CreateAdd(b.CreateAdd(w, k(0x7fff)), odd);
  Value* nan = b.CreateFCmpUNO(x, x);
  w = b.CreateSelect(nan, b.CreateOr(w, k(0x400000)), rounded);
  Value* high = b.CreateTrunc(b.CreateLShr(w, k(16)), vec(b.getInt16Ty(), n));
  return b.CreateBitCast(high, vec(b.getBFloatTy(), n));
}

/// One multiplication on registers, for what the grouping does not take.
Function* plain_multiply(Module& m, const Function& like, CallInst& c) {
  std::string name = "mfa_" + c.getCalledFunction()->getName().substr(4).str();
  if (Function* f = m.getFunction(name)) return f;
  auto* f = Function::Create(c.getFunctionType(), GlobalValue::InternalLinkage, name, m);
  f->setAttributes(
      AttributeList::get(m.getContext(), AttributeList::FunctionIndex,
                         AttrBuilder(m.getContext(), like.getAttributes().getFnAttrs())));
  f->setLinkage(GlobalValue::InternalLinkage);
  f->addFnAttr(Attribute::NoInline);
  IRBuilder<> b(BasicBlock::Create(m.getContext(), "entry", f));
  auto widen = [&](Value* v) -> Value* { return convert(b, v, b.getFloatTy()); };
  Value *a = widen(f->getArg(0)), *x = widen(f->getArg(1)), *y = widen(f->getArg(2));
  auto row = [&](Value* t, unsigned r) {
    SmallVector<int, 8> mask;
    for (unsigned i = 0; i < 8; i++) mask.push_back(r * 8 + i);
    return b.CreateShuffleVector(t, mask);
  };
  SmallVector<Value*, 8> rows;
  for (unsigned r = 0; r < 8; r++) {
    Value* sum = row(y, r);
    for (unsigned k = 0; k < 8; k++) {
      SmallVector<int, 8> one(8, r * 8 + k);
      sum = b.CreateIntrinsic(sum->getType(), Intrinsic::fmuladd,
                              {b.CreateShuffleVector(a, one), row(x, k), sum});
    }
    rows.push_back(sum);
  }
  b.CreateRet(convert(b, concatenate(b, rows), c.getType()->getScalarType()));
  return f;
}

}  // namespace

Value* convert(IRBuilderBase& b, Value* tile, Type* element) {
  Type* from = tile->getType()->getScalarType();
  if (from == element) return tile;
  unsigned n = cast<FixedVectorType>(tile->getType())->getNumElements();
  if (!from->isFloatTy()) tile = b.CreateFPExt(tile, vec(b.getFloatTy(), n));
  if (element->isFloatTy()) return tile;
  return element->isBFloatTy() ? to_bfloat(b, tile) : b.CreateFPTrunc(tile, vec(element, n));
}

Value* load(IRBuilderBase& b, Type* t, Value* p, Value* row, Value* column) {
  return call(b, "mfa.tile.load." + letter(t) + space(p), vec(t, 64), {p, row, column}, true,
              false);
}

void store(IRBuilderBase& b, Value* tile, Value* p, Value* row, Value* column) {
  call(b, "mfa.tile.store." + letter(tile->getType()->getScalarType()) + space(p), b.getVoidTy(),
       {tile, p, row, column}, false, true);
}

Value* multiply(IRBuilderBase& b, Type* d, Value* x, Value* y, Value* z) {
  auto l = [](Value* v) { return letter(v->getType()->getScalarType()); };
  return call(b, "mfa.tile.multiply." + letter(d) + "." + l(x) + "." + l(y) + "." + l(z),
              vec(d, 64), {x, y, z}, false, false);
}

TileOp tile_op(const Value* value) {
  auto* c = dyn_cast<CallInst>(value);
  Function* f = c ? c->getCalledFunction() : nullptr;
  if (!f || !f->getName().starts_with("mfa.tile.")) return TileOp::none;
  StringRef name = f->getName().substr(9);
  return name.starts_with("load.")    ? TileOp::load
         : name.starts_with("store.") ? TileOp::store
                                      : TileOp::multiply;
}

Value* read_tile(IRBuilderBase& b, Type* t, Value* p, Value* row, Value* column) {
  Align align(t->getScalarSizeInBits() / 8);
  auto* rc = dyn_cast<ConstantInt>(row);
  if (is_one(column) && rc && rc->equalsInt(8)) return b.CreateAlignedLoad(vec(t, 64), p, align);
  if (is_one(column) || is_one(row)) {
    bool transposed = !is_one(column);
    SmallVector<Value*, 8> lines;
    for (unsigned i = 0; i < 8; i++)
      lines.push_back(
          b.CreateAlignedLoad(vec(t, 8), address(b, t, p, transposed ? column : row, i), align));
    Value* v = concatenate(b, lines);
    return transposed ? b.CreateShuffleVector(v, transposition()) : v;
  }
  Value* v = PoisonValue::get(vec(t, 64));
  for (unsigned r = 0; r < 8; r++)
    for (unsigned c = 0; c < 8; c++) {
      Value* x = b.CreateAlignedLoad(t, address(b, t, address(b, t, p, row, r), column, c), align);
      v = b.CreateInsertElement(v, x, uint64_t(r * 8 + c));
    }
  return v;
}

void write_tile(IRBuilderBase& b, Value* tile, Value* p, Value* row, Value* column) {
  Type* t = tile->getType()->getScalarType();
  Align align(t->getScalarSizeInBits() / 8);
  auto* rc = dyn_cast<ConstantInt>(row);
  if (is_one(column) && rc && rc->equalsInt(8)) {
    b.CreateAlignedStore(tile, p, align);
    return;
  }
  if (is_one(column) || is_one(row)) {
    bool transposed = !is_one(column);
    if (transposed) tile = b.CreateShuffleVector(tile, transposition());
    for (unsigned i = 0; i < 8; i++) {
      SmallVector<int, 8> mask;
      for (unsigned j = 0; j < 8; j++) mask.push_back(i * 8 + j);
      b.CreateAlignedStore(b.CreateShuffleVector(tile, mask),
                           address(b, t, p, transposed ? column : row, i), align);
    }
    return;
  }
  for (unsigned r = 0; r < 8; r++)
    for (unsigned c = 0; c < 8; c++)
      b.CreateAlignedStore(b.CreateExtractElement(tile, uint64_t(r * 8 + c)),
                           address(b, t, address(b, t, p, row, r), column, c), align);
}

uint32_t lower(Function& f, const TargetMachine& target, uint32_t scratch_bytes) {
  scratch_bytes = group_multiplications(f, target, scratch_bytes);
  for (Instruction& inst : make_early_inc_range(instructions(f))) {
    TileOp op = tile_op(&inst);
    if (op == TileOp::none) continue;
    auto& c = cast<CallInst>(inst);
    IRBuilder<> b(&c);
    auto arg = [&](unsigned i) { return c.getArgOperand(i); };
    if (op == TileOp::load) {
      c.replaceAllUsesWith(read_tile(b, c.getType()->getScalarType(), arg(0), arg(1), arg(2)));
    } else if (op == TileOp::store) {
      write_tile(b, arg(0), arg(1), arg(2), arg(3));
    } else {
      c.replaceAllUsesWith(
          b.CreateCall(plain_multiply(*f.getParent(), f, c), {arg(0), arg(1), arg(2)}));
    }
    c.eraseFromParent();
  }
  return scratch_bytes;
}

}  // namespace mfa::simd::tiles
