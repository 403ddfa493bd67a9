// SPDX-License-Identifier: MIT
// Matrices of the lane program -> row-major tiles of 64 elements shared by the simdgroup.
//
// Tile operations stay calls (`mfa.tile.*`, see tiles.h) until tiles.cpp turns chains of them into
// register-blocked loops.
#include "llvm/IR/Module.h"
#include "simd/emit.h"
#include "simd/matrix_types.h"
#include "simd/tiles.h"

namespace mfa::simd {

using namespace llvm;

namespace {

constexpr unsigned width = MFA_SIMD_WIDTH;

/// Lane l's element e is this element of the tile.
constexpr unsigned place(unsigned lane, unsigned e) {
  return lane_row(lane) * 8 + lane_column(lane) + e;
}

}  // namespace

Value* Emitter::tile(Value* value) {
  Type* t = matrix_element(value->getType());
  if (auto* c = dyn_cast<Constant>(value)) {
    SmallVector<Constant*, 64> out(64, PoisonValue::get(t));
    for (unsigned l = 0; l < width; l++)
      for (unsigned e = 0; e < 2; e++) out[place(l, e)] = c->getAggregateElement(e);
    return ConstantVector::get(out);
  }
  Lanes v = lanes(value);
  if (v.tile) return v.tile;
  SmallVector<int, 64> mask(64);
  for (unsigned l = 0; l < width; l++)
    for (unsigned e = 0; e < 2; e++) mask[place(l, e)] = e * width + l;
  Value* first = v.first ? v.first : PoisonValue::get(wide(t));
  Value* second = v.second ? v.second : PoisonValue::get(wide(t));
  return b_.CreateShuffleVector(first, second, mask);
}

Value* Emitter::element(Value* value, unsigned index) {
  Type* t = matrix_element(value->getType());
  if (auto* c = dyn_cast<Constant>(value)) return splat(c->getAggregateElement(index));
  Lanes v = lanes(value);
  if (Value* known = index ? v.second : v.first) return known;
  if (!v.tile) return PoisonValue::get(wide(t));
  SmallVector<int, width> mask;
  for (unsigned l = 0; l < width; l++) mask.push_back(place(l, index));
  return b_.CreateShuffleVector(v.tile, mask);
}

/// Instructions on matrix values other than calls.
void Emitter::matrix_value(Instruction& inst) {
  if (auto* e = dyn_cast<ExtractValueInst>(&inst)) {
    Value* v = element(e->getAggregateOperand(), e->getIndices()[0]);
    if (control_.divergent(&inst))
      set_vector(&inst, v);
    else
      set_scalar(&inst, b_.CreateExtractElement(v, uint64_t(0)));
    return;
  }
  Lanes out;
  if (auto* i = dyn_cast<InsertValueInst>(&inst)) {
    unsigned at = i->getIndices()[0];
    Value* kept = isa<UndefValue>(i->getAggregateOperand())
                      ? nullptr
                      : element(i->getAggregateOperand(), 1 - at);
    (at ? out.second : out.first) = vector(i->getInsertedValueOperand());
    (at ? out.first : out.second) = kept;
    if (auto* before = dyn_cast<InsertValueInst>(i->getAggregateOperand());
        before && isa<UndefValue>(before->getAggregateOperand()) && before->getIndices()[0] != at) {
      Value *x = before->getInsertedValueOperand(), *y = i->getInsertedValueOperand();
      out.tile = fragment(inst, at ? x : y, at ? y : x);
    }
  } else if (auto* s = dyn_cast<SelectInst>(&inst)) {
    Value* c = control_.divergent(s->getCondition()) ? vector(s->getCondition())
                                                     : scalar(s->getCondition());
    out.first = b_.CreateSelect(c, element(s->getTrueValue(), 0), element(s->getFalseValue(), 0));
    out.second = b_.CreateSelect(c, element(s->getTrueValue(), 1), element(s->getFalseValue(), 1));
  } else if (isa<FreezeInst>(inst)) {
    out.tile = b_.CreateFreeze(tile(inst.getOperand(0)));
  } else {
    return fail(std::string("instruction '") + inst.getOpcodeName() + "' on a simdgroup matrix");
  }
  map_[&inst] = out;
}

void Emitter::matrix(CallInst& inst) {
  MatrixOp op = matrix_op(&inst);
  Lanes out;
  switch (op) {
    case MatrixOp::fill: {
      out.tile = b_.CreateVectorSplat(64, scalar(inst.getArgOperand(0)));
      break;
    }
    case MatrixOp::diagonal: {
      Type* t = matrix_element(inst.getType());
      SmallVector<int, 64> mask;
      for (unsigned i = 0; i < 64; i++) mask.push_back(i / 8 == i % 8 ? 0 : 1);
      Value* pair = b_.CreateInsertElement(Constant::getNullValue(FixedVectorType::get(t, 2)),
                                           scalar(inst.getArgOperand(0)), uint64_t(0));
      out.tile = b_.CreateShuffleVector(pair, mask);
      break;
    }
    case MatrixOp::load: {
      Type* t = matrix_element(inst.getType());
      out.tile = tiles::load(b_, t, scalar(inst.getArgOperand(0)), scalar(inst.getArgOperand(1)),
                             scalar(inst.getArgOperand(2)));
      break;
    }
    case MatrixOp::store:
      tiles::store(b_, tile(inst.getArgOperand(0)), scalar(inst.getArgOperand(1)),
                   scalar(inst.getArgOperand(2)), scalar(inst.getArgOperand(3)));
      return;
    default:
      out.tile = tiles::multiply(b_, matrix_element(inst.getType()), tile(inst.getArgOperand(0)),
                                 tile(inst.getArgOperand(1)), tile(inst.getArgOperand(2)));
  }
  map_[&inst] = out;
}

}  // namespace mfa::simd
