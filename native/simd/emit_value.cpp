// SPDX-License-Identifier: MIT
// Values of the lane program -> scalars, vectors, and base-plus-offset forms.
#include <optional>

#include "llvm/Analysis/ValueTracking.h"
#include "llvm/Analysis/VectorUtils.h"
#include "llvm/IR/GetElementPtrTypeIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/Module.h"
#include "simd/emit.h"
#include "simd/matrix_types.h"
#include "simd/program.h"

namespace mfa::simd {

using namespace llvm;

namespace {

constexpr unsigned width = MFA_SIMD_WIDTH;

/// The elements of a constant vector of integers; nothing if one is not known.
std::optional<SmallVector<APInt, width>> elements(Constant* vector) {
  SmallVector<APInt, width> out;
  for (unsigned l = 0; l < width; l++) {
    auto* e = dyn_cast_or_null<ConstantInt>(vector->getAggregateElement(l));
    if (!e) return {};
    out.push_back(e->getValue());
  }
  return out;
}

}  // namespace

FixedVectorType* Emitter::wide(Type* type) { return FixedVectorType::get(type, width); }
Value* Emitter::splat(Value* scalar) { return b_.CreateVectorSplat(width, scalar); }

Lanes Emitter::lanes(Value* value) {
  auto it = map_.find(value);
  if (it != map_.end()) return it->second;
  if (isa<Constant>(value) && !matrix_element(value->getType())) {
    map_[value].scalar = value;
    return map_[value];
  }
  if (!isa<Constant>(value)) fail("use of a value before its definition");
  return map_[value];
}

Value* Emitter::scalar(Value* value) {
  const Lanes v = lanes(value);
  if (v.scalar) return v.scalar;
  // Operands of collective operations may be divergent in form; the first active lane speaks.
  if (v.vector)
    return b_.CreateExtractElement(
        v.vector, b_.CreateBinaryIntrinsic(llvm::Intrinsic::cttz, bits(mask_), b_.getInt1(false)));
  return PoisonValue::get(value->getType());
}

Value* Emitter::vector(Value* value) {
  const Lanes v = lanes(value);
  if (v.vector) return v.vector;
  if (auto* c = dyn_cast_or_null<Constant>(v.scalar);
      c && !isa<ConstantExpr>(c) && !isa<GlobalValue>(c))
    return ConstantVector::getSplat(ElementCount::getFixed(width), c);
  if (v.scalar) return splat(v.scalar);
  return PoisonValue::get(wide(value->getType()));
}

void Emitter::instruction(Instruction& inst) {
  if (auto* call = dyn_cast<CallInst>(&inst)) {
    if (is_lane(call)) {
      Lanes& out = map_[call];
      out.vector = lane_numbers_;
      out.base = b_.getInt32(0);
      out.offsets = lane_numbers_;
      return;
    }
    if (matrix_op(call) != MatrixOp::none) return matrix(*call);
    Function* callee = call->getCalledFunction();
    if (is_air(*callee)) {
      auto parsed = parse_intrinsic(*callee);
      if (!parsed) return fail(parsed.error());
      return air_call(*call, *parsed);
    }
  }
  bool matrices = matrix_element(inst.getType());
  for (Value* op : inst.operands()) matrices |= matrix_element(op->getType()) != nullptr;
  if (matrices) return matrix_value(inst);
  if (auto* alloca = dyn_cast<AllocaInst>(&inst)) {
    if (!map_.count(alloca)) fail("private array of unknown size");
    return;  // placed at entry
  }
  if (auto* l = dyn_cast<LoadInst>(&inst)) return load(*l);
  if (auto* s = dyn_cast<StoreInst>(&inst)) return store(*s);
  if (auto* c = dyn_cast<MemTransferInst>(&inst)) return copy(*c);
  if (auto* c = dyn_cast<MemSetInst>(&inst)) return fill(*c);
  if (!control_.divergent(&inst)) return uniform(inst);
  if (auto* g = dyn_cast<GetElementPtrInst>(&inst)) return pointer(*g);
  if (auto* i = dyn_cast<IntrinsicInst>(&inst)) return intrinsic(*i);
  arithmetic(inst);
}

void Emitter::uniform(Instruction& inst) {
  if (auto* i = dyn_cast<IntrinsicInst>(&inst); i && i->mayHaveSideEffects())
    return fail("intrinsic '" + i->getCalledFunction()->getName().str() + "'");
  Instruction* copy = inst.clone();
  copy->dropUnknownNonDebugMetadata();
  for (Use& use : copy->operands())
    if (!isa<Function>(use.get())) use.set(scalar(use.get()));
  b_.Insert(copy, inst.getName());
  set_scalar(&inst, copy);
}

void Emitter::intrinsic(IntrinsicInst& inst) {
  llvm::Intrinsic::ID id = inst.getIntrinsicID();
  bool known = isTriviallyVectorizable(id);
  switch (id) {  // element-wise as well, only missing in LLVM's list
    case llvm::Intrinsic::smul_fix:
    case llvm::Intrinsic::fptosi_sat:
    case llvm::Intrinsic::fptoui_sat:
    case llvm::Intrinsic::sadd_with_overflow:
    case llvm::Intrinsic::uadd_with_overflow:
    case llvm::Intrinsic::ssub_with_overflow:
    case llvm::Intrinsic::usub_with_overflow:
    case llvm::Intrinsic::smul_with_overflow:
    case llvm::Intrinsic::umul_with_overflow:
    case llvm::Intrinsic::is_fpclass:
    case llvm::Intrinsic::ldexp:
    case llvm::Intrinsic::scmp:
    case llvm::Intrinsic::ucmp:
      known = true;
      break;
    default:
      break;
  }
  if (!known) return fail("intrinsic '" + inst.getCalledFunction()->getName().str() + "'");
  SmallVector<Value*, 4> args;
  SmallVector<Type*, 3> types;
  bool overflow = isa<WithOverflowInst>(inst);
  if (isVectorIntrinsicWithOverloadTypeAtArg(id, -1) && !overflow &&
      id != llvm::Intrinsic::is_fpclass)
    types.push_back(wide(inst.getType()));
  for (unsigned i = 0; i < inst.arg_size(); i++) {
    Value* a = inst.getArgOperand(i);
    bool single =
        isVectorIntrinsicWithScalarOpAtArg(id, i) || (id == llvm::Intrinsic::is_fpclass && i == 1);
    args.push_back(single ? scalar(a) : vector(a));
    if (isVectorIntrinsicWithOverloadTypeAtArg(id, i) ||
        (i == 0 && (overflow || id == llvm::Intrinsic::is_fpclass)))
      types.push_back(args.back()->getType());
  }
  if (id == llvm::Intrinsic::ldexp) types = {wide(inst.getType()), args[1]->getType()};
  if (id == llvm::Intrinsic::fptosi_sat || id == llvm::Intrinsic::fptoui_sat)
    types = {wide(inst.getType()), args[0]->getType()};
  if (id == llvm::Intrinsic::scmp || id == llvm::Intrinsic::ucmp)
    types = {wide(inst.getType()), args[0]->getType()};
  auto* fn = llvm::Intrinsic::getDeclaration(&module_, id, types);
  auto* call = b_.CreateCall(fn, args);
  if (isa<FPMathOperator>(inst)) call->copyFastMathFlags(&inst);
  set_vector(&inst, call);
}

/// Integer division of lanes. CPUs have none for vectors; up to 32 bits the quotient in FP64 is
/// exact: it misses an integer above by at least 1/b, which is more than half a unit in the last
/// place.
Value* Emitter::divide(BinaryOperator& op, Value* a, Value* b) {
  auto opcode = op.getOpcode();
  bool sign = opcode == Instruction::SDiv || opcode == Instruction::SRem;
  bool rest = opcode == Instruction::SRem || opcode == Instruction::URem;
  if (isa<Constant>(b)) return b_.CreateBinOp(opcode, a, b);
  if (op.getType()->getIntegerBitWidth() > 32) {
    // Inactive lanes must not trap: the program's own guard may have been their branch.
    Value* one = splat(ConstantInt::get(op.getType(), 1));
    return b_.CreateBinOp(opcode, a, b_.CreateFreeze(b_.CreateSelect(mask_, b, one)));
  }
  Type* real = wide(b_.getDoubleTy());
  auto convert = [&](Value* v) {
    return sign ? b_.CreateSIToFP(v, real) : b_.CreateUIToFP(v, real);
  };
  Value* quotient = b_.CreateFDiv(convert(a), convert(b));
  quotient =
      sign ? b_.CreateFPToSI(quotient, a->getType()) : b_.CreateFPToUI(quotient, a->getType());
  return rest ? b_.CreateSub(a, b_.CreateMul(quotient, b)) : quotient;
}

void Emitter::arithmetic(Instruction& inst) {
  Lanes out;
  bool linear = affine(inst, out);
  Value* value = nullptr;
  if (auto* op = dyn_cast<BinaryOperator>(&inst)) {
    Value *a = vector(op->getOperand(0)), *b = vector(op->getOperand(1));
    value = op->isIntDivRem() ? divide(*op, a, b) : b_.CreateBinOp(op->getOpcode(), a, b);
    // Only floating-point flags: an inactive lane may overflow.
    if (auto* i = dyn_cast<Instruction>(value); i && isa<FPMathOperator>(i))
      i->copyFastMathFlags(&inst);
  } else if (auto* u = dyn_cast<UnaryOperator>(&inst)) {
    value = b_.CreateUnOp(u->getOpcode(), vector(u->getOperand(0)));
    if (auto* i = dyn_cast<Instruction>(value); i && isa<FPMathOperator>(i))
      i->copyFastMathFlags(&inst);
  } else if (auto* c = dyn_cast<CastInst>(&inst)) {
    value = b_.CreateCast(c->getOpcode(), vector(c->getOperand(0)), wide(c->getType()));
    if (isa<AddrSpaceCastInst>(c)) {
      linear = affine_operand(c->getOperand(0), out);
      out.owner = lanes(c->getOperand(0)).owner;
    }
  } else if (auto* c = dyn_cast<CmpInst>(&inst)) {
    value = b_.CreateCmp(c->getPredicate(), vector(c->getOperand(0)), vector(c->getOperand(1)));
    if (auto* i = dyn_cast<Instruction>(value); i && isa<FPMathOperator>(i))
      i->copyFastMathFlags(&inst);
  } else if (auto* s = dyn_cast<SelectInst>(&inst)) {
    Value* condition = control_.divergent(s->getCondition()) ? vector(s->getCondition())
                                                             : scalar(s->getCondition());
    value = b_.CreateSelect(condition, vector(s->getTrueValue()), vector(s->getFalseValue()));
    if (auto* i = dyn_cast<Instruction>(value); i && isa<FPMathOperator>(i))
      i->copyFastMathFlags(&inst);
  } else if (isa<FreezeInst>(inst)) {
    value = b_.CreateFreeze(vector(inst.getOperand(0)));
    linear = affine_operand(inst.getOperand(0), out);
  } else if (auto* e = dyn_cast<ExtractValueInst>(&inst)) {
    value = b_.CreateExtractValue(vector(e->getAggregateOperand()), e->getIndices());
  } else {
    return fail(std::string("instruction '") + inst.getOpcodeName() + "' on lanes");
  }
  if (!linear) {
    AllocaInst* owner = out.owner;
    out = {};
    out.owner = owner;
  }
  out.vector = value;
  map_[&inst] = out;
}

/// The base-plus-offsets form of an operand; a uniform value has offsets of zero.
bool Emitter::affine_operand(Value* value, Lanes& out) {
  const Lanes v = lanes(value);
  if (v.base) {
    out.base = v.base;
    out.offsets = v.offsets;
    out.guard = v.guard;
    out.interleaved = v.interleaved;
    out.owner = v.owner;
    return true;
  }
  if (!v.scalar) return false;
  out.base = v.scalar;
  Type* type = value->getType();
  out.offsets = Constant::getNullValue(wide(type->isPointerTy() ? b_.getInt64Ty() : type));
  return true;
}

bool Emitter::affine(Instruction& inst, Lanes& out) {
  if (!inst.getType()->isIntegerTy() || inst.getType()->isIntegerTy(1)) return false;
  auto meet = [&](Value* a, Value* b) -> Value* { return !a ? b : !b ? a : b_.CreateAnd(a, b); };
  auto constant = [&](Value* v) { return cast<Constant>(v); };
  unsigned opcode = inst.getOpcode();
  Lanes a, b;
  if (!affine_operand(inst.getOperand(0), a)) return false;
  if (auto* op = dyn_cast<BinaryOperator>(&inst)) {
    if (!affine_operand(inst.getOperand(1), b)) return false;
    out.guard = meet(a.guard, b.guard);
    bool disjoint = opcode == Instruction::Or && cast<PossiblyDisjointInst>(op)->isDisjoint();
    if (opcode == Instruction::Add || disjoint) {
      out.base = b_.CreateAdd(a.base, b.base);
      out.offsets = constant(b_.CreateAdd(a.offsets, b.offsets));
      return true;
    }
    if (opcode == Instruction::Sub) {
      out.base = b_.CreateSub(a.base, b.base);
      out.offsets = constant(b_.CreateSub(a.offsets, b.offsets));
      return true;
    }
    if (opcode == Instruction::Mul && !isa<ConstantInt>(b.base)) std::swap(a, b);
    auto* factor = dyn_cast<ConstantInt>(b.base);
    if (!factor || !b.offsets->isNullValue()) return false;
    Constant* factors = ConstantVector::getSplat(ElementCount::getFixed(width), factor);
    if (opcode == Instruction::Mul || opcode == Instruction::Shl) {
      out.base = b_.CreateBinOp(op->getOpcode(), a.base, factor);
      out.offsets = constant(b_.CreateBinOp(op->getOpcode(), a.offsets, factors));
      return true;
    }
    if (opcode != Instruction::And && opcode != Instruction::LShr) return false;
    if (auto* fixed = dyn_cast<ConstantInt>(a.base)) {  // all of it is known
      Constant* add = ConstantVector::getSplat(ElementCount::getFixed(width), fixed);
      a.offsets = constant(b_.CreateAdd(add, a.offsets));
      a.base = ConstantInt::get(inst.getType(), 0);
    }
    // Base and offsets that share no bits can be split: (B + O) & m == (B & m) + (O & m).
    auto values = elements(a.offsets);
    if (!values) return false;
    APInt used(inst.getType()->getIntegerBitWidth(), 0);
    for (const APInt& v : *values) used |= v;
    if (computeKnownBits(a.base, layout_).countMinTrailingZeros() < used.getActiveBits())
      return false;
    out.base = b_.CreateBinOp(op->getOpcode(), a.base, factor);
    out.offsets = constant(b_.CreateBinOp(op->getOpcode(), a.offsets, factors));
    return true;
  }
  if (opcode == Instruction::Trunc) {
    out.base = b_.CreateTrunc(a.base, inst.getType());
    out.offsets = constant(b_.CreateTrunc(a.offsets, wide(inst.getType())));
    out.guard = a.guard;
    return true;
  }
  if (opcode == Instruction::SExt || opcode == Instruction::ZExt) {
    // ext(B + o) == ext(B) + ext(o) for every lane unless B + o wraps. Offsets are read as signed
    // numbers; the guard compares the base with how far they reach.
    if (a.base->getType()->isIntegerTy(1)) return false;
    auto values = elements(a.offsets);
    if (!values) return false;
    bool sign = opcode == Instruction::SExt;
    unsigned n = a.base->getType()->getIntegerBitWidth();
    APInt low(n, 0), high(n, 0);
    for (const APInt& v : *values) {
      if (v.slt(low)) low = v;
      if (v.sgt(high)) high = v;
    }
    APInt top = sign ? APInt::getSignedMaxValue(n) : APInt::getMaxValue(n);
    APInt bottom = sign ? APInt::getSignedMinValue(n) : APInt::getMinValue(n);
    KnownBits known = computeKnownBits(a.base, layout_);
    Value* guard = a.guard;
    if (!high.isZero()) {
      APInt limit = top - high;
      bool proven = sign ? known.getSignedMaxValue().sle(limit) : known.getMaxValue().ule(limit);
      if (!proven)
        guard = meet(guard, b_.CreateICmp(sign ? CmpInst::ICMP_SLE : CmpInst::ICMP_ULE, a.base,
                                          ConstantInt::get(a.base->getType(), limit)));
    }
    if (!low.isZero()) {
      APInt limit = bottom - low;
      bool proven = sign ? known.getSignedMinValue().sge(limit) : known.getMinValue().uge(limit);
      if (!proven)
        guard = meet(guard, b_.CreateICmp(sign ? CmpInst::ICMP_SGE : CmpInst::ICMP_UGE, a.base,
                                          ConstantInt::get(a.base->getType(), limit)));
    }
    // The base itself is the value of a lane with offset 0; else it need not be in range alone.
    out.base = sign ? b_.CreateSExt(a.base, inst.getType()) : b_.CreateZExt(a.base, inst.getType());
    out.offsets = constant(b_.CreateSExt(a.offsets, wide(inst.getType())));
    out.guard = guard;
    return true;
  }
  return false;
}

void Emitter::pointer(GetElementPtrInst& inst) {
  const Lanes p = lanes(inst.getPointerOperand());
  bool interleaved = p.interleaved;
  Type* i64 = b_.getInt64Ty();
  Value* base_offset = b_.getInt64(0);  // of the linear form
  Constant* offsets = Constant::getNullValue(wide(i64));
  Value* guard = nullptr;
  bool linear = true;
  Value* uniform_part = b_.getInt64(0);  // of the general form
  Value* lane_part = nullptr;
  Lanes start;
  if (!affine_operand(inst.getPointerOperand(), start))
    linear = false;
  else
    guard = start.guard;
  int64_t scale = interleaved ? width : 1;
  for (auto it = gep_type_begin(inst), e = gep_type_end(inst); it != e; ++it) {
    Value* index = it.getOperand();
    if (StructType* s = it.getStructTypeOrNull()) {
      uint64_t at =
          layout_.getStructLayout(s)->getElementOffset(cast<ConstantInt>(index)->getZExtValue());
      Value* o = b_.getInt64(at * scale);
      base_offset = b_.CreateAdd(base_offset, o);
      uniform_part = b_.CreateAdd(uniform_part, o);
      continue;
    }
    int64_t size = int64_t(layout_.getTypeAllocSize(it.getIndexedType()).getFixedValue()) * scale;
    Value* unit = b_.getInt64(size);
    const Lanes x = lanes(index);
    if (x.scalar) {
      Value* o = b_.CreateMul(b_.CreateSExtOrTrunc(x.scalar, i64), unit);
      base_offset = b_.CreateAdd(base_offset, o);
      uniform_part = b_.CreateAdd(uniform_part, o);
      continue;
    }
    Value* v = b_.CreateMul(b_.CreateSExtOrTrunc(x.vector, wide(i64)), splat(unit));
    lane_part = lane_part ? b_.CreateAdd(lane_part, v) : v;
    if (linear && x.base && x.base->getType() == i64) {
      base_offset = b_.CreateAdd(base_offset, b_.CreateMul(x.base, unit));
      offsets = cast<Constant>(b_.CreateAdd(offsets, b_.CreateMul(x.offsets, splat(unit))));
      guard = !guard ? x.guard : !x.guard ? guard : b_.CreateAnd(guard, x.guard);
    } else {
      linear = false;
    }
  }
  Lanes out;
  out.interleaved = interleaved;
  out.owner = p.owner;
  // General form: one address per lane.
  const Lanes again = lanes(inst.getPointerOperand());
  Value* root = again.scalar ? again.scalar : again.vector;
  root = b_.CreateGEP(b_.getInt8Ty(), root, again.scalar ? uniform_part : splat(uniform_part));
  out.vector = lane_part ? b_.CreateGEP(b_.getInt8Ty(), root, lane_part) : root;
  if (!out.vector->getType()->isVectorTy()) out.vector = splat(out.vector);
  if (linear) {
    out.base = b_.CreateGEP(b_.getInt8Ty(), start.base, base_offset);
    out.offsets = cast<Constant>(b_.CreateAdd(start.offsets, offsets));
    out.guard = guard;
  }
  map_[&inst] = out;
}

}  // namespace mfa::simd
