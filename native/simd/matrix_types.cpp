// SPDX-License-Identifier: MIT
// 8x8 matrices in the lane program: `<64 x T>` of AIR -> a struct of the two elements a lane holds.
#include "simd/matrix_types.h"

#include <string>

#include "llvm/ADT/PostOrderIterator.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/raw_ostream.h"
#include "simd/intrinsic.h"

namespace mfa::simd {
namespace {

using namespace llvm;

std::string letter(Type* t) {
  return t->isFloatTy() ? "f32" : t->isHalfTy() ? "f16" : t->isBFloatTy() ? "bf16" : "other";
}

/// `<64 x T>`, or null.
Type* wide_element(const Type* type) {
  auto* v = dyn_cast<FixedVectorType>(type);
  return v && v->getNumElements() == 64 ? v->getElementType() : nullptr;
}

class Rewriter {
 public:
  explicit Rewriter(Function& f) : f_(f), m_(*f.getParent()), b_(f.getContext()) {}

  Result<void> run() {
    ReversePostOrderTraversal<Function*> order(&f_);
    SmallVector<PHINode*, 16> phis;
    for (BasicBlock* block : order)
      for (Instruction& inst : make_early_inc_range(*block)) {
        bool wide = wide_element(inst.getType());
        for (Value* op : inst.operands()) wide |= wide_element(op->getType()) != nullptr;
        if (!wide) continue;
        b_.SetInsertPoint(&inst);
        if (auto* phi = dyn_cast<PHINode>(&inst)) {
          auto* type = matrix_type(wide_element(phi->getType()));
          map_[phi] = b_.CreatePHI(type, phi->getNumIncomingValues());
          phis.push_back(phi);
        } else if (!rewrite(inst)) {
          return Error{"unsupported operation on a simdgroup matrix: '" +
                       std::string(inst.getOpcodeName()) + "'"};
        }
        dead_.push_back(&inst);
      }
    for (PHINode* phi : phis) {
      auto* n = cast<PHINode>(map_[phi]);
      for (unsigned i = 0; i < phi->getNumIncomingValues(); i++) {
        b_.SetInsertPoint(phi->getIncomingBlock(i)->getTerminator());
        n->addIncoming(get(phi->getIncomingValue(i)), phi->getIncomingBlock(i));
      }
    }
    for (Instruction* inst : dead_)
      if (!inst->getType()->isVoidTy()) inst->replaceAllUsesWith(PoisonValue::get(inst->getType()));
    for (Instruction* inst : reverse(dead_)) inst->eraseFromParent();
    return {};
  }

 private:
  Value* get(Value* wide) {
    if (auto it = map_.find(wide); it != map_.end()) return it->second;
    auto* type = matrix_type(wide_element(wide->getType()));
    if (auto* c = dyn_cast<Constant>(wide))
      return ConstantStruct::get(type, {c->getAggregateElement(0u), c->getAggregateElement(1u)});
    return PoisonValue::get(type);  // unreachable code
  }
  Value* element(Value* wide, unsigned i) { return b_.CreateExtractValue(get(wide), i); }
  Value* build(Type* element, Value* e0, Value* e1) {
    Value* m = PoisonValue::get(matrix_type(element));
    m = b_.CreateInsertValue(m, e0, 0);
    return b_.CreateInsertValue(m, e1, 1);
  }

  /// Element `i` of operand `v`, which may be narrow or wide; poison where a lane holds nothing.
  Value* pick(Value* v, int i) {
    Type* t = v->getType()->getScalarType();
    unsigned n = cast<FixedVectorType>(v->getType())->getNumElements();
    if (i < 0 || isa<PoisonValue>(v)) return PoisonValue::get(t);
    if (n == 64) return i < 2 ? element(v, i) : PoisonValue::get(t);
    return b_.CreateExtractElement(v, uint64_t(i));
  }

  bool rewrite(Instruction& inst) {
    Type* wide = wide_element(inst.getType());
    if (auto* s = dyn_cast<ShuffleVectorInst>(&inst)) {
      int n = cast<FixedVectorType>(s->getOperand(0)->getType())->getNumElements();
      auto at = [&](unsigned i) {
        int m = s->getMaskValue(i);
        return m < n ? pick(s->getOperand(0), m) : pick(s->getOperand(1), m - n);
      };
      if (wide) {
        map_[s] = build(wide, at(0), at(1));
        return true;
      }
      Value* v = PoisonValue::get(s->getType());
      for (unsigned i = 0; i < s->getShuffleMask().size(); i++)
        v = b_.CreateInsertElement(v, at(i), uint64_t(i));
      s->replaceAllUsesWith(v);
      return true;
    }
    if (auto* e = dyn_cast<ExtractElementInst>(&inst)) {
      Value* m = get(e->getVectorOperand());
      Value* r;
      if (auto* c = dyn_cast<ConstantInt>(e->getIndexOperand()))
        r = c->getZExtValue() < 2 ? b_.CreateExtractValue(m, unsigned(c->getZExtValue()))
                                  : PoisonValue::get(e->getType());
      else
        r = b_.CreateSelect(b_.CreateIsNull(e->getIndexOperand()), b_.CreateExtractValue(m, 0),
                            b_.CreateExtractValue(m, 1));
      e->replaceAllUsesWith(r);
      return true;
    }
    if (auto* e = dyn_cast<InsertElementInst>(&inst)) {
      Value* m = get(e->getOperand(0));
      Value* x = e->getOperand(1);
      if (auto* c = dyn_cast<ConstantInt>(e->getOperand(2))) {
        map_[e] =
            c->getZExtValue() < 2 ? b_.CreateInsertValue(m, x, unsigned(c->getZExtValue())) : m;
      } else {
        Value* first = b_.CreateIsNull(e->getOperand(2));
        map_[e] = build(wide, b_.CreateSelect(first, x, b_.CreateExtractValue(m, 0)),
                        b_.CreateSelect(first, b_.CreateExtractValue(m, 1), x));
      }
      return true;
    }
    if (auto* l = dyn_cast<LoadInst>(&inst)) {
      uint64_t size = m_.getDataLayout().getTypeAllocSize(wide);
      Value* e0 = b_.CreateAlignedLoad(wide, l->getPointerOperand(), l->getAlign());
      Value* e1 = b_.CreateAlignedLoad(
          wide, b_.CreateConstInBoundsGEP1_64(b_.getInt8Ty(), l->getPointerOperand(), size),
          commonAlignment(l->getAlign(), size));
      map_[l] = build(wide, e0, e1);
      return true;
    }
    if (auto* s = dyn_cast<StoreInst>(&inst)) {
      Type* t = wide_element(s->getValueOperand()->getType());
      uint64_t size = m_.getDataLayout().getTypeAllocSize(t);
      b_.CreateAlignedStore(element(s->getValueOperand(), 0), s->getPointerOperand(),
                            s->getAlign());
      b_.CreateAlignedStore(
          element(s->getValueOperand(), 1),
          b_.CreateConstInBoundsGEP1_64(b_.getInt8Ty(), s->getPointerOperand(), size),
          commonAlignment(s->getAlign(), size));
      return true;
    }
    if (auto* s = dyn_cast<SelectInst>(&inst)) {
      if (s->getCondition()->getType()->isVectorTy()) return false;
      map_[s] = b_.CreateSelect(s->getCondition(), get(s->getTrueValue()), get(s->getFalseValue()));
      return true;
    }
    if (isa<FreezeInst>(inst)) {
      map_[&inst] = b_.CreateFreeze(get(inst.getOperand(0)));
      return true;
    }
    if (auto* op = dyn_cast<BinaryOperator>(&inst)) {
      auto one = [&](unsigned i) {
        Value* r = b_.CreateBinOp(op->getOpcode(), element(op->getOperand(0), i),
                                  element(op->getOperand(1), i));
        if (auto* n = dyn_cast<Instruction>(r)) n->copyIRFlags(op);
        return r;
      };
      map_[op] = build(wide, one(0), one(1));
      return true;
    }
    if (auto* c = dyn_cast<CastInst>(&inst)) {
      Type* from = wide_element(c->getSrcTy());
      if (!from || !wide) return false;
      auto one = [&](unsigned i) {
        return b_.CreateCast(c->getOpcode(), element(c->getOperand(0), i), wide);
      };
      map_[c] = build(wide, one(0), one(1));
      return true;
    }
    if (auto* u = dyn_cast<UnaryOperator>(&inst)) {
      auto one = [&](unsigned i) {
        return b_.CreateUnOp(u->getOpcode(), element(u->getOperand(0), i));
      };
      map_[u] = build(wide, one(0), one(1));
      return true;
    }
    if (auto* c = dyn_cast<CallInst>(&inst)) return call(*c);
    return false;
  }

  Value* emit(const std::string& name, Type* result, ArrayRef<Value*> args, bool pure) {
    SmallVector<Type*, 4> types;
    for (Value* a : args) types.push_back(a->getType());
    auto fn = m_.getOrInsertFunction(name, FunctionType::get(result, types, false));
    auto* decl = cast<Function>(fn.getCallee());
    decl->setConvergent();
    decl->setDoesNotThrow();
    decl->setWillReturn();
    if (pure)
      decl->setDoesNotAccessMemory();
    else if (result->isVoidTy())
      decl->setOnlyWritesMemory();
    else
      decl->setOnlyReadsMemory();
    return b_.CreateCall(fn, args);
  }

  /// Address of the element (0,0) and the two strides, from either signature of AIR.md 5.11.
  void place(CallInst& c, unsigned first, bool strided, Type* t, SmallVectorImpl<Value*>& out) {
    auto lane = [&](unsigned i, unsigned e) {
      return b_.CreateExtractElement(c.getArgOperand(first + i), uint64_t(e));
    };
    Value *row, *column, *offset;
    if (strided) {
      column = lane(2, 0);
      row = lane(2, 1);
      offset = b_.CreateAdd(b_.CreateMul(lane(3, 1), row), b_.CreateMul(lane(3, 0), column));
    } else {
      Value* pitch = c.getArgOperand(first + 1);
      Value* transpose = c.getArgOperand(first + 3);
      row = b_.CreateSelect(transpose, b_.getInt64(1), pitch);
      column = b_.CreateSelect(transpose, pitch, b_.getInt64(1));
      offset = b_.CreateAdd(b_.CreateMul(lane(2, 1), pitch), lane(2, 0));
    }
    out.push_back(b_.CreateGEP(t, c.getArgOperand(first), offset));
    out.push_back(row);
    out.push_back(column);
  }

  bool call(CallInst& c) {
    Function* callee = c.getCalledFunction();
    if (!callee || !is_air(*callee)) return false;
    auto parsed = parse_intrinsic(*callee);
    if (!parsed || !is_matrix(parsed->op)) return false;
    SmallVector<Value*, 4> args;
    switch (parsed->op) {
      case Op::matrix_fill:
      case Op::matrix_diagonal: {
        Type* t = wide_element(c.getType());
        const char* name = parsed->op == Op::matrix_fill ? "fill." : "diagonal.";
        map_[&c] = emit(std::string("mfa.matrix.") + name + letter(t), matrix_type(t),
                        {c.getArgOperand(0)}, true);
        return true;
      }
      case Op::matrix_load: {
        Type* t = wide_element(c.getType());
        place(c, 0, parsed->strided, t, args);
        unsigned space = args[0]->getType()->getPointerAddressSpace();
        map_[&c] = emit("mfa.matrix.load." + letter(t) + ".p" + std::to_string(space),
                        matrix_type(t), args, false);
        return true;
      }
      case Op::matrix_store: {
        Type* t = wide_element(c.getArgOperand(0)->getType());
        args.push_back(get(c.getArgOperand(0)));
        place(c, 1, parsed->strided, t, args);
        unsigned space = args[1]->getType()->getPointerAddressSpace();
        emit("mfa.matrix.store." + letter(t) + ".p" + std::to_string(space), b_.getVoidTy(), args,
             false);
        return true;
      }
      case Op::matrix_multiply: {
        Type* t = wide_element(c.getType());
        std::string name = "mfa.matrix.multiply." + letter(t);
        for (unsigned i = 0; i < 3; i++) {
          args.push_back(get(c.getArgOperand(i)));
          name += "." + letter(wide_element(c.getArgOperand(i)->getType()));
        }
        map_[&c] = emit(name, matrix_type(t), args, true);
        return true;
      }
      default:
        return false;
    }
  }

  Function& f_;
  Module& m_;
  IRBuilder<> b_;
  DenseMap<Value*, Value*> map_;
  SmallVector<Instruction*, 64> dead_;
};

}  // namespace

StructType* matrix_type(Type* element) {
  std::string name = "mfa.matrix." + letter(element);
  if (auto* t = StructType::getTypeByName(element->getContext(), name)) return t;
  return StructType::create({element, element}, name);
}

Type* matrix_element(const Type* type) {
  auto* s = dyn_cast<StructType>(type);
  if (!s || !s->hasName() || !s->getName().starts_with("mfa.matrix.")) return nullptr;
  return s->getElementType(0);
}

MatrixOp matrix_op(const Value* value) {
  auto* call = dyn_cast<CallInst>(value);
  Function* callee = call ? call->getCalledFunction() : nullptr;
  if (!callee) return MatrixOp::none;
  StringRef name = callee->getName();
  if (!name.consume_front("mfa.matrix.")) return MatrixOp::none;
  if (name.starts_with("fill.")) return MatrixOp::fill;
  if (name.starts_with("diagonal.")) return MatrixOp::diagonal;
  if (name.starts_with("load.")) return MatrixOp::load;
  if (name.starts_with("store.")) return MatrixOp::store;
  return MatrixOp::multiply;
}

Result<void> rewrite_matrices(Function& program) { return Rewriter(program).run(); }

}  // namespace mfa::simd
