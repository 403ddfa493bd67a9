// SPDX-License-Identifier: MIT
// Reductions, scans, votes and shuffles over the active lanes of a simdgroup or of quads.
#include "llvm/Analysis/VectorUtils.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/IntrinsicsX86.h"
#include "llvm/IR/Module.h"
#include "simd/emit.h"

namespace mfa::simd {

using namespace llvm;

namespace {

constexpr unsigned width = MFA_SIMD_WIDTH;

/// A constant shuffle mask; `at(l)` is the lane that lane l reads, 32 and above reads operand two.
SmallVector<int, width> lanes_from(function_ref<int(unsigned)> at) {
  SmallVector<int, width> mask;
  for (unsigned l = 0; l < width; l++) mask.push_back(at(l));
  return mask;
}

}  // namespace

void Emitter::air_call(CallInst& inst, const Intrinsic& op) {
  switch (op.op) {
    case Op::threadgroup_barrier: {
      barriers_ = true;
      auto fn = module_.getOrInsertFunction("mfa_rt_barrier", b_.getVoidTy(), b_.getPtrTy());
      b_.CreateCall(fn, {result_->getArg(0)});
      return;
    }
    case Op::simdgroup_barrier:
    case Op::atomic_fence:
      // Lanes run in lockstep and memory operations keep their order.
      if (op.op == Op::atomic_fence) b_.CreateFence(AtomicOrdering::SequentiallyConsistent);
      return;
    case Op::sum:
    case Op::product:
    case Op::min:
    case Op::max:
    case Op::bit_and:
    case Op::bit_or:
    case Op::bit_xor:
      return reduce(inst, op);
    case Op::prefix_inclusive_sum:
    case Op::prefix_inclusive_product:
    case Op::prefix_exclusive_sum:
    case Op::prefix_exclusive_product:
      return scan(inst, op);
    case Op::all:
    case Op::any:
    case Op::ballot:
    case Op::vote_all:
    case Op::vote_any:
    case Op::active_mask:
    case Op::is_first:
    case Op::is_helper:
      return vote(inst, op);
    case Op::broadcast:
    case Op::broadcast_first:
    case Op::shuffle:
    case Op::shuffle_xor:
    case Op::shuffle_up:
    case Op::shuffle_down:
    case Op::shuffle_rotate_up:
    case Op::shuffle_rotate_down:
    case Op::shuffle_fill_up:
    case Op::shuffle_fill_down:
      return shuffle(inst, op);
    case Op::simdgroup_size:
      return set_scalar(&inst, ConstantInt::get(inst.getType(), width));
    case Op::lane_index: {
      Lanes& out = map_[&inst];
      out.offsets = cast<Constant>(b_.CreateIntCast(lane_numbers_, wide(inst.getType()), false));
      out.vector = out.offsets;
      out.base = ConstantInt::get(inst.getType(), 0);
      return;
    }
    case Op::coherent_load: {
      Lanes p = lanes(inst.getArgOperand(0));
      Align align(layout_.getTypeStoreSize(inst.getType()));
      if (p.scalar) return set_scalar(&inst, b_.CreateAlignedLoad(inst.getType(), p.scalar, align));
      return set_vector(&inst, load_lanes(p, inst.getType(), align));
    }
    case Op::coherent_store: {
      Lanes p = lanes(inst.getArgOperand(1));
      Align align(layout_.getTypeStoreSize(op.value));
      if (p.scalar) p.vector = splat(p.scalar);
      return store_lanes(p, vector(inst.getArgOperand(0)), align);
    }
    case Op::async_copy_1d:
    case Op::async_copy_2d:
    case Op::async_wait:
      return async_copy(inst, op);
    default:
      if (is_atomic(op.op)) return atomic(inst, op);
      return fail("'" + inst.getCalledFunction()->getName().str() + "'");
  }
}

Value* Emitter::combine(const Intrinsic& op, Value* x, Value* y) {
  bool real = x->getType()->isFPOrFPVectorTy();
  switch (op.op) {
    case Op::sum:
    case Op::prefix_inclusive_sum:
    case Op::prefix_exclusive_sum:
      return real ? b_.CreateFAdd(x, y) : b_.CreateAdd(x, y);
    case Op::product:
    case Op::prefix_inclusive_product:
    case Op::prefix_exclusive_product:
      return real ? b_.CreateFMul(x, y) : b_.CreateMul(x, y);
    case Op::min:
      return b_.CreateBinaryIntrinsic(real           ? llvm::Intrinsic::minnum
                                      : op.is_signed ? llvm::Intrinsic::smin
                                                     : llvm::Intrinsic::umin,
                                      x, y);
    case Op::max:
      return b_.CreateBinaryIntrinsic(real           ? llvm::Intrinsic::maxnum
                                      : op.is_signed ? llvm::Intrinsic::smax
                                                     : llvm::Intrinsic::umax,
                                      x, y);
    case Op::bit_and:
      return b_.CreateAnd(x, y);
    case Op::bit_or:
      return b_.CreateOr(x, y);
    default:
      return b_.CreateXor(x, y);
  }
}

Constant* Emitter::identity(const Intrinsic& op, Type* type) {
  unsigned n = type->getScalarSizeInBits();
  bool real = type->isFloatingPointTy();
  switch (op.op) {
    case Op::product:
    case Op::prefix_inclusive_product:
    case Op::prefix_exclusive_product:
      return real ? ConstantFP::get(type, 1.0) : ConstantInt::get(type, 1);
    case Op::min:  // NaN is what minNum and maxNum ignore
      if (real) return ConstantFP::getNaN(type);
      return ConstantInt::get(type,
                              op.is_signed ? APInt::getSignedMaxValue(n) : APInt::getMaxValue(n));
    case Op::max:
      if (real) return ConstantFP::getNaN(type);
      return ConstantInt::get(type,
                              op.is_signed ? APInt::getSignedMinValue(n) : APInt::getMinValue(n));
    case Op::bit_and:
      return Constant::getAllOnesValue(type);
    case Op::sum:
    case Op::prefix_inclusive_sum:
    case Op::prefix_exclusive_sum:
      return real ? ConstantFP::getNegativeZero(type) : Constant::getNullValue(type);
    default:
      return Constant::getNullValue(type);
  }
}

/// 16-bit floats are combined in FP32 and rounded once.
static Type* working_type(Type* type) {
  return type->isHalfTy() || type->isBFloatTy() ? Type::getFloatTy(type->getContext()) : type;
}

void Emitter::reduce(CallInst& inst, const Intrinsic& op) {
  Type* type = inst.getType();
  Type* working = working_type(type);
  Value* x = vector(inst.getArgOperand(0));
  if (working != type) x = b_.CreateFPExt(x, wide(working));
  x = b_.CreateSelect(mask_, x, splat(identity(op, working)));
  if (op.width == 4) {
    for (int distance : {2, 1})
      x = combine(op, x,
                  b_.CreateShuffleVector(x, lanes_from([&](unsigned l) { return l ^ distance; })));
    if (working != type) x = b_.CreateFPTrunc(x, wide(type));
    return set_vector(&inst, x);
  }
  // A fixed tree: the result does not depend on anything but the lanes' values.
  for (unsigned half = width / 2; half; half /= 2) {
    SmallVector<int, 16> low, high;
    for (unsigned i = 0; i < half; i++) {
      low.push_back(i);
      high.push_back(i + half);
    }
    x = combine(op, b_.CreateShuffleVector(x, low), b_.CreateShuffleVector(x, high));
  }
  x = b_.CreateExtractElement(x, uint64_t(0));
  if (working != type) x = b_.CreateFPTrunc(x, type);
  set_scalar(&inst, x);
}

void Emitter::scan(CallInst& inst, const Intrinsic& op) {
  Type* type = inst.getType();
  Type* working = working_type(type);
  Value* rest = splat(identity(op, working));
  Value* x = vector(inst.getArgOperand(0));
  if (working != type) x = b_.CreateFPExt(x, wide(working));
  x = b_.CreateSelect(mask_, x, rest);
  unsigned segment = op.width;
  auto up = [&](Value* v, unsigned distance) {
    return b_.CreateShuffleVector(v, rest, lanes_from([&](unsigned l) {
                                    return l % segment >= distance ? int(l - distance) : int(width);
                                  }));
  };
  for (unsigned distance = 1; distance < segment; distance *= 2)
    x = combine(op, up(x, distance), x);
  if (op.op == Op::prefix_exclusive_sum || op.op == Op::prefix_exclusive_product) {
    // The first lane gets the identity of the operation, a positive zero for sums.
    if (op.op == Op::prefix_exclusive_sum) rest = Constant::getNullValue(wide(working));
    x = up(x, 1);
    // Lanes before the first active one hold the identity of IEEE addition, a negative zero.
    if (op.op == Op::prefix_exclusive_sum && working->isFloatingPointTy())
      x = b_.CreateFAdd(x, rest);
  }
  if (working != type) x = b_.CreateFPTrunc(x, wide(type));
  set_vector(&inst, x);
}

void Emitter::vote(CallInst& inst, const Intrinsic& op) {
  Type* type = inst.getType();
  Value* active = bits(mask_);
  bool quad = op.width == 4;
  // For quads: the four bits of the lane's own quad, per lane.
  auto own = [&](Value* word) -> Value* {
    Value* base = b_.CreateAnd(lane_numbers_, splat(b_.getInt32(~3u)));
    return b_.CreateAnd(b_.CreateLShr(splat(word), base), splat(b_.getInt32(15)));
  };
  auto finish = [&](Value* v) {
    Type* to = v->getType()->isVectorTy() ? static_cast<Type*>(wide(type)) : type;
    v = b_.CreateZExtOrTrunc(v, to);
    if (v->getType()->isVectorTy())
      set_vector(&inst, v);
    else
      set_scalar(&inst, v);
  };
  auto test = [&](bool all, Value* word, Value* among) -> Value* {
    if (quad) {
      word = own(word);
      among = own(among);
    }
    if (all) return b_.CreateICmpEQ(word, among);
    return b_.CreateICmpNE(word, Constant::getNullValue(word->getType()));
  };
  switch (op.op) {
    case Op::all:
    case Op::any: {
      Value* holds = bits(both(mask_, vector(inst.getArgOperand(0))));
      return finish(test(op.op == Op::all, holds, active));
    }
    case Op::ballot: {
      Value* word = bits(both(mask_, vector(inst.getArgOperand(0))));
      return finish(quad ? own(word) : word);
    }
    case Op::active_mask:
      return finish(quad ? own(active) : active);
    case Op::vote_all:
    case Op::vote_any: {
      if (control_.divergent(inst.getArgOperand(0)) || quad) {
        Value* word = b_.CreateZExtOrTrunc(vector(inst.getArgOperand(0)), wide(b_.getInt32Ty()));
        Value* among = quad ? own(active) : splat(active);
        Value* seen = b_.CreateAnd(word, among);
        Value* r = op.op == Op::vote_all ? b_.CreateICmpEQ(seen, among)
                                         : b_.CreateICmpNE(word, splat(b_.getInt32(0)));
        if (control_.divergent(&inst)) return set_vector(&inst, r);
        return set_scalar(&inst, b_.CreateExtractElement(r, uint64_t(0)));
      }
      Value* word = b_.CreateTrunc(scalar(inst.getArgOperand(0)), b_.getInt32Ty());
      return finish(test(op.op == Op::vote_all, b_.CreateAnd(word, active), active));
    }
    case Op::is_first: {
      if (quad) {
        Value* mine = own(active);
        Value* below = b_.CreateSub(
            b_.CreateShl(splat(b_.getInt32(1)), b_.CreateAnd(lane_numbers_, splat(b_.getInt32(3)))),
            splat(b_.getInt32(1)));
        return set_vector(&inst, b_.CreateIsNull(b_.CreateAnd(mine, below)));
      }
      Value* first = b_.CreateBinaryIntrinsic(llvm::Intrinsic::cttz, active, b_.getInt1(false));
      return set_vector(&inst, b_.CreateICmpEQ(lane_numbers_, splat(first)));
    }
    default:  // is_helper: compute has none
      return set_scalar(&inst, b_.getInt1(false));
  }
}

/// Whether lanes l and l + 16 are equal, as far as a few steps back tell.
static bool repeats(Value* v, unsigned depth = 0) {
  if (!v->getType()->isVectorTy()) return true;
  if (auto* constant = dyn_cast<Constant>(v)) {
    for (unsigned l = 0; l < width / 2; l++) {
      Constant* element = constant->getAggregateElement(l);
      if (!element || element != constant->getAggregateElement(l + width / 2)) return false;
    }
    return true;
  }
  if (getSplatValue(v)) return true;
  auto* inst = dyn_cast<Instruction>(v);
  auto* call = dyn_cast_or_null<IntrinsicInst>(inst);
  bool by_lane = inst && (inst->isBinaryOp() || inst->isUnaryOp() || inst->isCast() ||
                          (call && call->getIntrinsicID() == llvm::Intrinsic::fma));
  if (!by_lane || depth > 4) return false;
  if (cast<VectorType>(v->getType())->getElementCount().getFixedValue() != width) return false;
  for (unsigned i = 0; i < (call ? call->arg_size() : inst->getNumOperands()); i++)
    if (!repeats(inst->getOperand(i), depth + 1)) return false;
  return true;
}

/// permute() in registers: an AVX-512 instruction finds 16 lanes' elements in two registers of 16,
/// or in one if both are the same.
Value* Emitter::look_up(Value* x, Value* indices) {
  Type* i32 = b_.getInt32Ty();
  Value* table = b_.CreateBitCast(x, wide(i32));
  Value* index = b_.CreateFreeze(b_.CreateZExtOrTrunc(indices, wide(i32)));
  auto half = [&](Value* v, unsigned first) {
    SmallVector<int, 16> from;
    for (unsigned l = 0; l < 16; l++) from.push_back(int(first + l));
    return b_.CreateShuffleVector(v, from);
  };
  Value *low = half(table, 0), *high = half(table, 16);
  const bool one = repeats(x);
  auto find = [&](unsigned first) {  // reads the lowest five bits of an index
    if (one)                         // the lowest four
      return b_.CreateIntrinsic(llvm::Intrinsic::x86_avx512_permvar_si_512, {},
                                {low, half(index, first)});
    return b_.CreateIntrinsic(llvm::Intrinsic::x86_avx512_vpermi2var_d_512, {},
                              {low, half(index, first), high});
  };
  SmallVector<int, width> both;
  for (unsigned l = 0; l < width; l++) both.push_back(int(l));
  return b_.CreateBitCast(b_.CreateShuffleVector(find(0), find(16), both), x->getType());
}

/// Lane l reads lane indices[l] & 31.
Value* Emitter::permute(Value* x, Value* indices) {
  Type* type = x->getType()->getScalarType();
  if (auto* known = dyn_cast<Constant>(indices)) {
    SmallVector<int, width> from;
    for (unsigned l = 0; l < width; l++)
      if (auto* e = dyn_cast_or_null<ConstantInt>(known->getAggregateElement(l)))
        from.push_back(int(e->getZExtValue() & (width - 1)));
    if (from.size() == width) return b_.CreateShuffleVector(x, from);
  }
  if (table_lookup_ && layout_.getTypeStoreSize(type) == 4 && !type->isPointerTy())
    return look_up(x, indices);
  Value* slot = scratch_pointer(scratch(layout_.getTypeStoreSize(type) * width));
  Align align(layout_.getTypeStoreSize(type));
  b_.CreateAlignedStore(x, slot, align);
  indices = b_.CreateAnd(b_.CreateFreeze(b_.CreateZExtOrTrunc(indices, wide(b_.getInt32Ty()))),
                         splat(b_.getInt32(width - 1)));
  Value* pointers = b_.CreateGEP(type, slot, indices);
  Value* all = Constant::getAllOnesValue(mask_->getType());
  std::swap(all, mask_);  // every index is in range
  Value* result = gather(pointers, type, align);
  std::swap(all, mask_);
  return result;
}

void Emitter::shuffle(CallInst& inst, const Intrinsic& op) {
  Type* type = inst.getType();
  bool flag = type->isIntegerTy(1);
  Value* x = vector(inst.getArgOperand(0));
  if (flag) x = b_.CreateZExt(x, wide(b_.getInt8Ty()));
  auto done = [&](Value* v) {
    if (flag)
      v = b_.CreateTrunc(v, v->getType()->isVectorTy() ? static_cast<Type*>(wide(type)) : type);
    if (v->getType()->isVectorTy())
      set_vector(&inst, v);
    else
      set_scalar(&inst, v);
  };
  const unsigned n = op.width;
  if (op.op == Op::broadcast_first) {
    Value* active = bits(mask_);
    if (n == width)
      return done(b_.CreateExtractElement(
          x, b_.CreateBinaryIntrinsic(llvm::Intrinsic::cttz, active, b_.getInt1(false))));
    Value* base = b_.CreateAnd(lane_numbers_, splat(b_.getInt32(~3u)));
    Value* mine = b_.CreateAnd(b_.CreateLShr(splat(active), base), splat(b_.getInt32(15)));
    Value* first = b_.CreateBinaryIntrinsic(llvm::Intrinsic::cttz, mine, b_.getInt1(false));
    return done(permute(x, b_.CreateAdd(base, first)));
  }
  bool fills = op.op == Op::shuffle_fill_up || op.op == Op::shuffle_fill_down;
  Value* index = inst.getArgOperand(fills ? 2 : 1);
  Value* fill = fills ? vector(inst.getArgOperand(1)) : nullptr;
  if (fills && flag) fill = b_.CreateZExt(fill, wide(b_.getInt8Ty()));
  Lanes i = lanes(index);
  bool uniform_index = i.scalar;
  if (n == width && uniform_index && (op.op == Op::shuffle || op.op == Op::broadcast)) {
    Value* one = b_.CreateExtractElement(
        x, b_.CreateAnd(b_.CreateFreeze(b_.CreateZExtOrTrunc(i.scalar, b_.getInt32Ty())),
                        b_.getInt32(width - 1)));
    if (control_.divergent(&inst)) return done(splat(one));
    return done(one);
  }
  auto* constant = dyn_cast_or_null<ConstantInt>(i.scalar);
  auto* modulo =
      fills ? dyn_cast_or_null<ConstantInt>(lanes(inst.getArgOperand(3)).scalar) : nullptr;
  if (constant && (!fills || modulo)) {
    unsigned d = constant->getZExtValue();
    unsigned segment =
        fills ? std::min<uint64_t>(std::max<uint64_t>(modulo->getZExtValue(), 1), n) : n;
    Value* second = fill ? fill : x;
    return done(b_.CreateShuffleVector(
        x, second, lanes_from([&](unsigned l) -> int {
          unsigned j = l % n, base = l - j;
          switch (op.op) {
            case Op::broadcast:
            case Op::shuffle:
              return base + d % n;
            case Op::shuffle_xor:
              return base + (j ^ d) % n;
            case Op::shuffle_up:
              return j >= d ? int(l - d) : int(l);
            case Op::shuffle_down:
              return j + d < n ? int(l + d) : int(l);
            case Op::shuffle_rotate_up:
              return base + (j + n - d % n) % n;
            case Op::shuffle_rotate_down:
              return base + (j + d) % n;
            default: {
              unsigned k = l % segment, start = l - k;
              if (op.op == Op::shuffle_fill_up)
                return k >= d ? int(l - d)
                              : int(width + start + (k + segment - d % segment) % segment);
              return k + d < segment ? int(l + d) : int(width + start + (k + d) % segment);
            }
          }
        })));
  }
  // An index known at run time only.
  Type* i32 = wide(b_.getInt32Ty());
  Value* d = b_.CreateZExtOrTrunc(vector(index), i32);
  auto k32 = [&](uint32_t v) { return splat(b_.getInt32(v)); };
  Value* j = b_.CreateAnd(lane_numbers_, k32(n - 1));
  Value* base = b_.CreateSub(lane_numbers_, j);
  auto within = [&](Value* v) { return b_.CreateAdd(base, b_.CreateAnd(v, k32(n - 1))); };
  switch (op.op) {
    case Op::broadcast:
    case Op::shuffle:
      return done(permute(x, within(d)));
    case Op::shuffle_xor:
      return done(permute(x, within(b_.CreateXor(j, d))));
    case Op::shuffle_rotate_up:
      return done(permute(x, within(b_.CreateSub(j, d))));
    case Op::shuffle_rotate_down:
      return done(permute(x, within(b_.CreateAdd(j, d))));
    case Op::shuffle_up: {
      Value* in = b_.CreateICmpUGE(j, d);
      return done(permute(x, b_.CreateSelect(in, b_.CreateSub(lane_numbers_, d), lane_numbers_)));
    }
    case Op::shuffle_down: {
      Value* in = b_.CreateICmpULT(b_.CreateAdd(j, d), k32(n));
      return done(permute(x, b_.CreateSelect(in, b_.CreateAdd(lane_numbers_, d), lane_numbers_)));
    }
    default: {
      Value* m = b_.CreateZExtOrTrunc(vector(inst.getArgOperand(3)), i32);  // a power of two
      Value* k = b_.CreateAnd(lane_numbers_, b_.CreateSub(m, k32(1)));
      Value* start = b_.CreateSub(lane_numbers_, k);
      bool up = op.op == Op::shuffle_fill_up;
      Value* to = up ? b_.CreateSub(k, d) : b_.CreateAdd(k, d);
      Value* in = up ? b_.CreateICmpUGE(k, d) : b_.CreateICmpULT(to, m);
      Value* from = b_.CreateAdd(start, b_.CreateAnd(to, b_.CreateSub(m, k32(1))));
      return done(b_.CreateSelect(in, permute(x, from), permute(fill, from)));
    }
  }
}

}  // namespace mfa::simd
