// SPDX-License-Identifier: MIT
// Loads, stores, private arrays and atomics of the vector program.
//
// Addresses fall into classes: the same for all lanes, consecutive, a window (lanes read each of a
// few consecutive elements at least once, in an order known now), or anything. What holds only
// under a guard gets both forms behind a branch.
#include <algorithm>

#include "llvm/IR/MDBuilder.h"
#include "llvm/IR/Module.h"
#include "simd/emit.h"
#include "simd/matrix_types.h"

namespace mfa::simd {

using namespace llvm;

namespace {

constexpr unsigned width = MFA_SIMD_WIDTH;

enum class Pattern : uint8_t { same, consecutive, any };

Pattern pattern(Constant* offsets, uint64_t size) {
  int64_t first = 0;
  bool same = true, consecutive = true;
  for (unsigned l = 0; l < width; l++) {
    auto* e = dyn_cast_or_null<ConstantInt>(offsets->getAggregateElement(l));
    if (!e) return Pattern::any;
    int64_t v = e->getSExtValue();
    if (l == 0) first = v;
    same &= v == first;
    consecutive &= v == first + int64_t(l * size);
  }
  return same ? Pattern::same : consecutive ? Pattern::consecutive : Pattern::any;
}

/// The element that each lane reads, counted from `first`, the lowest offset in bytes. Empty unless
/// together the lanes read all of them: an element nobody asked for may not be there.
SmallVector<int, width> window(Constant* offsets, uint64_t size, int64_t& first) {
  SmallVector<int64_t, width> values;
  for (unsigned l = 0; l < width; l++) {
    auto* e = dyn_cast_or_null<ConstantInt>(offsets->getAggregateElement(l));
    if (!e) return {};
    values.push_back(e->getSExtValue());
  }
  first = *std::min_element(values.begin(), values.end());
  SmallVector<int, width> places;
  uint64_t seen = 0;
  for (int64_t v : values) {
    uint64_t distance = uint64_t(v) - uint64_t(first);
    if (distance % size || distance / size >= width) return {};
    places.push_back(int(distance / size));
    seen |= uint64_t(1) << places.back();
  }
  if (!isMask_64(seen)) return {};
  return places;
}

int64_t first_offset(Constant* offsets) {
  return cast<ConstantInt>(offsets->getAggregateElement(0u))->getSExtValue();
}

/// Every access to `alloca` reads or writes one scalar of `size` bytes at a multiple of `size`.
bool scalar_accesses(Value* pointer, uint64_t& size, const DataLayout& layout, unsigned depth = 0) {
  if (depth > 8) return false;
  for (User* user : pointer->users()) {
    Type* type = nullptr;
    if (auto* l = dyn_cast<LoadInst>(user))
      type = l->getType();
    else if (auto* s = dyn_cast<StoreInst>(user)) {
      if (s->getValueOperand() == pointer) return false;
      type = s->getValueOperand()->getType();
    } else if (auto* g = dyn_cast<GetElementPtrInst>(user)) {
      if (!scalar_accesses(g, size, layout, depth + 1)) return false;
      continue;
    } else {
      return false;
    }
    uint64_t bytes = layout.getTypeStoreSize(type);
    if (size && bytes != size) return false;
    size = bytes;
  }
  return true;
}

bool multiples(Value* pointer, uint64_t size, const DataLayout& layout) {
  for (User* user : pointer->users()) {
    auto* g = dyn_cast<GetElementPtrInst>(user);
    if (!g) continue;
    unsigned bits = layout.getIndexSizeInBits(g->getPointerAddressSpace());
    MapVector<Value*, APInt> variable;
    APInt constant(bits, 0);
    if (!g->collectOffset(layout, bits, variable, constant) || constant.urem(size)) return false;
    for (auto& [index, scale] : variable)
      if (scale.urem(size)) return false;
    if (!multiples(g, size, layout)) return false;
  }
  return true;
}

}  // namespace

uint32_t Emitter::scratch(uint64_t bytes) {
  uint32_t at = scratch_bytes_;
  uint64_t end = (uint64_t(at) + bytes + 63) / 64 * 64;
  if (end > 64u << 20) {
    fail("more than 64 MiB of private memory per simdgroup");
    return 0;
  }
  scratch_bytes_ = uint32_t(end);
  return at;
}

Value* Emitter::scratch_pointer(uint32_t offset) {
  return b_.CreateConstInBoundsGEP1_64(b_.getInt8Ty(), result_->getArg(2), offset);
}

/// Gives every private array its place in the simdgroup's scratch memory.
void Emitter::place_private() {
  for (Instruction& inst : source_.getEntryBlock()) {
    auto* alloca = dyn_cast<AllocaInst>(&inst);
    if (!alloca || !alloca->isStaticAlloca()) continue;
    uint64_t bytes = layout_.getTypeAllocSize(alloca->getAllocatedType()).getFixedValue() *
                     cast<ConstantInt>(alloca->getArraySize())->getZExtValue();
    uint64_t align = std::max<uint64_t>(alloca->getAlign().value(), 1);
    uint64_t element = 0;
    bool interleaved = scalar_accesses(alloca, element, layout_) && element &&
                       isPowerOf2_64(element) && multiples(alloca, element, layout_);
    uint64_t stride = interleaved ? element : alignTo(std::max<uint64_t>(bytes, 1), align);
    Lanes& out = map_[alloca];
    uint64_t total = interleaved ? alignTo(bytes, element) * width : stride * width;
    out.interleaved = interleaved;
    out.owner = alloca;
    private_bytes_[alloca] = stride == element && interleaved ? alignTo(bytes, element) : stride;
    out.base = scratch_pointer(scratch(total));
    SmallVector<Constant*, width> offsets;
    for (unsigned l = 0; l < width; l++) offsets.push_back(b_.getInt64(l * stride));
    out.offsets = ConstantVector::get(offsets);
    out.vector = b_.CreateGEP(b_.getInt8Ty(), out.base, out.offsets);
  }
}

/// Inactive lanes point at the scratch memory's first bytes.
Value* Emitter::safe_pointers(Value* pointers) {
  auto* type = cast<VectorType>(pointers->getType());
  Value* dummy = scratch_pointer(0);
  if (dummy->getType() != type->getElementType())
    dummy = b_.CreateAddrSpaceCast(dummy, type->getElementType());
  return b_.CreateSelect(mask_, pointers, splat(dummy));
}

/// CPUs gather 32 and 64 bits. A smaller element that is aligned comes out of the aligned word
/// around it, which lies in the same page.
Value* Emitter::gather(Value* pointers, Type* type, Align align) {
  uint64_t size = layout_.getTypeStoreSize(type);
  if (gathers_ && (size == 4 || size == 8) && !type->isPointerTy())
    return b_.CreateMaskedGather(wide(type), pointers, align, mask_);
  if (gathers_ && (size == 1 || (size == 2 && align >= 2)) &&
      layout_.getTypeSizeInBits(type) == 8 * size) {
    Type* i64 = wide(b_.getInt64Ty());
    Type* i32 = wide(b_.getInt32Ty());
    Value* mask = ConstantInt::getSigned(i64, -4);
    Value* around =
        b_.CreateIntrinsic(llvm::Intrinsic::ptrmask, {pointers->getType(), i64}, {pointers, mask});
    Value* words = b_.CreateMaskedGather(i32, around, Align(4), mask_);
    Value* byte = b_.CreateAnd(b_.CreateTrunc(b_.CreatePtrToInt(pointers, i64), i32), 3);
    Value* element = b_.CreateLShr(words, b_.CreateShl(byte, 3));
    return b_.CreateBitCast(b_.CreateTrunc(element, wide(b_.getIntNTy(8 * size))), wide(type));
  }
  Value* safe = safe_pointers(pointers);
  Value* result = PoisonValue::get(wide(type));
  for (unsigned l = 0; l < width; l++) {
    Value* x = b_.CreateAlignedLoad(type, b_.CreateExtractElement(safe, uint64_t(l)), Align(1));
    result = b_.CreateInsertElement(result, x, uint64_t(l));
  }
  return result;
}

void Emitter::scatter(Value* value, Value* pointers, Align align) {
  Type* type = value->getType()->getScalarType();
  uint64_t size = layout_.getTypeStoreSize(type);
  if (scatters_ && (size == 4 || size == 8) && !type->isPointerTy()) {
    b_.CreateMaskedScatter(value, pointers, align, mask_);
    return;
  }
  Value* safe = safe_pointers(pointers);
  for (unsigned l = 0; l < width; l++)
    b_.CreateAlignedStore(b_.CreateExtractElement(value, uint64_t(l)),
                          b_.CreateExtractElement(safe, uint64_t(l)), Align(1));
}

/// Whether a masked access to elements of this type is one instruction.
static bool masked(Type* type, uint64_t size, bool narrow) {
  return !type->isPointerTy() && isPowerOf2_64(size) && (size >= 4 || narrow);
}

/// Runs `fast` where `guard` holds, `slow` where not; returns what they returned.
static Value* guarded(IRBuilderBase& b, Value* guard, function_ref<Value*()> fast,
                      function_ref<Value*()> slow) {
  auto* c = dyn_cast_or_null<ConstantInt>(guard);
  if (!guard || (c && c->isOne())) return fast();
  if (c) return slow();
  Function* f = b.GetInsertBlock()->getParent();
  auto* yes = BasicBlock::Create(b.getContext(), "", f);
  auto* no = BasicBlock::Create(b.getContext(), "", f);
  auto* after = BasicBlock::Create(b.getContext(), "", f);
  b.CreateCondBr(guard, yes, no, MDBuilder(b.getContext()).createBranchWeights(1 << 20, 1));
  b.SetInsertPoint(yes);
  Value* x = fast();
  yes = b.GetInsertBlock();
  b.CreateBr(after);
  b.SetInsertPoint(no);
  Value* y = slow();
  no = b.GetInsertBlock();
  b.CreateBr(after);
  b.SetInsertPoint(after);
  if (!x) return nullptr;
  PHINode* phi = b.CreatePHI(x->getType(), 2);
  phi->addIncoming(x, yes);
  phi->addIncoming(y, no);
  return phi;
}

/// Whether a vector of elements of this type lies in memory as an array of them does.
static bool is_dense(Type* type, uint64_t size, const DataLayout& layout) {
  return layout.getTypeSizeInBits(type) == 8 * size && isPowerOf2_64(size);
}

/// Whether all lanes are active.
Value* Emitter::all_active() {
  auto* constant = dyn_cast<Constant>(mask_);
  if (constant && constant->isAllOnesValue()) return b_.getTrue();
  return b_.CreateAndReduce(mask_);
}

/// Where elements are too small for masked instructions, a whole vector is still one.
Value* Emitter::contiguous_load(Value* pointer, Type* type, Align align) {
  uint64_t size = layout_.getTypeStoreSize(type);
  if (masked(type, size, wide_masks_))
    return b_.CreateMaskedLoad(wide(type), pointer, align, mask_, PoisonValue::get(wide(type)));
  if (!is_dense(type, size, layout_)) {
    SmallVector<Constant*, width> steps;
    for (unsigned l = 0; l < width; l++) steps.push_back(b_.getInt64(l * size));
    return gather(b_.CreateGEP(b_.getInt8Ty(), pointer, ConstantVector::get(steps)), type, align);
  }
  return guarded(
      b_, all_active(),
      [&]() -> Value* { return b_.CreateAlignedLoad(wide(type), pointer, align); },
      [&]() -> Value* {
        if (!lane_slot_) lane_slot_ = scratch(width * sizeof(uint64_t));
        Value* slot = scratch_pointer(*lane_slot_);
        per_active_lane([&](Value* lane) {
          Value* offset = b_.CreateMul(b_.CreateZExt(lane, b_.getInt64Ty()), b_.getInt64(size));
          Value* from = b_.CreateGEP(b_.getInt8Ty(), pointer, offset);
          b_.CreateAlignedStore(b_.CreateAlignedLoad(type, from, Align(1)),
                                b_.CreateGEP(b_.getInt8Ty(), slot, offset), Align(1));
        });
        return b_.CreateAlignedLoad(wide(type), slot, Align(64));
      });
}

void Emitter::contiguous_store(Value* value, Value* pointer, Align align) {
  Type* type = value->getType()->getScalarType();
  uint64_t size = layout_.getTypeStoreSize(type);
  const bool one = masked(type, size, wide_masks_);
  auto whole = [&]() -> Value* {
    b_.CreateAlignedStore(value, pointer, align);
    return nullptr;
  };
  auto some = [&]() -> Value* {
    if (one) {
      b_.CreateMaskedStore(value, pointer, align, mask_);
      return nullptr;
    }
    per_active_lane([&](Value* lane) {
      Value* offset = b_.CreateMul(b_.CreateZExt(lane, b_.getInt64Ty()), b_.getInt64(size));
      b_.CreateAlignedStore(b_.CreateExtractElement(value, lane),
                            b_.CreateGEP(b_.getInt8Ty(), pointer, offset), Align(1));
    });
    return nullptr;
  };
  if ((one && cheap_masks_) || !is_dense(type, size, layout_))
    some();
  else
    guarded(b_, all_active(), whole, some);
}

/// Whether lanes access elements of this type at addresses that are neither one nor in a row.
bool Emitter::scattered(const Lanes& p, Type* type) const {
  return !p.scalar &&
         (!p.base || pattern(p.offsets, layout_.getTypeStoreSize(type)) == Pattern::any);
}

Value* Emitter::load_lanes(const Lanes& p, Type* type, Align align) {
  uint64_t size = layout_.getTypeStoreSize(type);
  Pattern form = p.base ? pattern(p.offsets, size) : Pattern::any;
  if (form == Pattern::any) {
    int64_t first = 0;
    SmallVector<int, width> places;
    if (p.base && !type->isPointerTy()) places = window(p.offsets, size, first);
    if (places.empty()) return gather(p.vector, type, align);
    return guarded(
        b_, p.guard ? b_.CreateAnd(p.guard, all_active()) : all_active(),
        [&]() -> Value* {
          unsigned count = *std::max_element(places.begin(), places.end()) + 1;
          Value* pointer = b_.CreateConstGEP1_64(b_.getInt8Ty(), p.base, first);
          Value* read = b_.CreateAlignedLoad(FixedVectorType::get(type, count), pointer, align);
          return b_.CreateShuffleVector(read, places);
        },
        [&] { return gather(p.vector, type, align); });
  }
  Value* pointer = b_.CreateConstGEP1_64(b_.getInt8Ty(), p.base, first_offset(p.offsets));
  return guarded(
      b_, p.guard,
      [&]() -> Value* {
        return form == Pattern::same ? splat(b_.CreateAlignedLoad(type, pointer, align))
                                     : contiguous_load(pointer, type, align);
      },
      [&] { return gather(p.vector, type, align); });
}

void Emitter::store_lanes(const Lanes& p, Value* value, Align align) {
  Type* type = value->getType()->getScalarType();
  uint64_t size = layout_.getTypeStoreSize(type);
  Pattern form = p.base ? pattern(p.offsets, size) : Pattern::any;
  if (form != Pattern::consecutive) return scatter(value, p.vector, align);
  Value* pointer = b_.CreateConstGEP1_64(b_.getInt8Ty(), p.base, first_offset(p.offsets));
  guarded(
      b_, p.guard,
      [&]() -> Value* {
        contiguous_store(value, pointer, align);
        return nullptr;
      },
      [&]() -> Value* {
        scatter(value, p.vector, align);
        return nullptr;
      });
}

/// Lanes whose access stays inside their private array. Null if that is plain from the address.
/// Idle lanes of kernels meant for GPUs index outside, where they find nothing on a GPU; here lies
/// other memory.
Value* Emitter::within_private(const Lanes& p, Type* type) {
  const Lanes home = map_[p.owner];
  uint64_t size = layout_.getTypeStoreSize(type);
  uint64_t bytes = private_bytes_[p.owner];
  if (bytes < size) return Constant::getNullValue(mask_->getType());
  uint64_t last = (bytes - size) * (home.interleaved ? width : 1);
  if (p.base && !p.guard) {
    APInt at(64, 0);
    Value* root = p.base->stripAndAccumulateConstantOffsets(layout_, at, true);
    APInt home_at(64, 0);
    Value* home_root = home.base->stripAndAccumulateConstantOffsets(layout_, home_at, true);
    Constant* rest = ConstantExpr::getSub(p.offsets, home.offsets);
    bool same = root == home_root && pattern(rest, size) == Pattern::same;
    if (same && (at - home_at + first_offset(rest)).ule(last)) return nullptr;
  }
  Type* i64 = wide(b_.getInt64Ty());
  Value* pointers = p.vector;
  Value* start = home.vector;
  if (pointers->getType() != start->getType())
    start = b_.CreateAddrSpaceCast(start, pointers->getType());
  Value* offset = b_.CreateSub(b_.CreatePtrToInt(pointers, i64), b_.CreatePtrToInt(start, i64));
  return b_.CreateICmpULE(offset, splat(b_.getInt64(last)));
}

void Emitter::load(LoadInst& inst) {
  Lanes p = lanes(inst.getPointerOperand());
  if (p.scalar) {
    LoadInst* l = b_.CreateAlignedLoad(inst.getType(), p.scalar, inst.getAlign());
    for (unsigned kind : {LLVMContext::MD_invariant_load, LLVMContext::MD_range})
      if (MDNode* node = inst.getMetadata(kind)) l->setMetadata(kind, node);
    set_scalar(&inst, l);
    return;
  }
  if (loaded_.count(&inst) || (scattered(p, inst.getType()) && load_neighbours(inst, p)))
    return set_vector(&inst, loaded_.lookup(&inst));
  Value* all = mask_;
  if (Value* inside = p.owner ? within_private(p, inst.getType()) : nullptr)
    mask_ = both(mask_, inside);
  set_vector(&inst, load_lanes(p, inst.getType(), inst.getAlign()));
  mask_ = all;
}

void Emitter::store(StoreInst& inst) {
  Lanes p = lanes(inst.getPointerOperand());
  Value* value = inst.getValueOperand();
  if (!p.scalar) {
    if (scattered(p, value->getType()) && store_neighbours(inst, p)) return;
    Value* all = mask_;
    if (Value* inside = p.owner ? within_private(p, value->getType()) : nullptr)
      mask_ = both(mask_, inside);
    store_lanes(p, vector(value), inst.getAlign());
    mask_ = all;
    return;
  }
  Lanes v = lanes(value);
  if (!v.scalar) {
    // One address for all: the last active lane wins.
    Value* active = bits(mask_);
    Value* last =
        b_.CreateXor(b_.CreateBinaryIntrinsic(llvm::Intrinsic::ctlz, active, b_.getInt1(false)),
                     b_.getInt32(width - 1));
    v.scalar = b_.CreateExtractElement(v.vector, last);
  }
  b_.CreateAlignedStore(v.scalar, p.scalar, inst.getAlign());
}

/// A loop over the active lanes, lowest first.
void Emitter::per_active_lane(function_ref<void(Value*)> body) {
  Value* active = bits(mask_);
  BasicBlock* before = b_.GetInsertBlock();
  auto* loop = BasicBlock::Create(b_.getContext(), "lanes", result_);
  auto* after = BasicBlock::Create(b_.getContext(), "", result_);
  b_.CreateCondBr(b_.CreateICmpNE(active, b_.getInt32(0)), loop, after);
  b_.SetInsertPoint(loop);
  PHINode* left = open_phi(b_.getInt32Ty(), 2);
  Value* lane = b_.CreateBinaryIntrinsic(llvm::Intrinsic::cttz, left, b_.getInt1(true));
  body(lane);
  Value* rest = b_.CreateAnd(left, b_.CreateSub(left, b_.getInt32(1)));
  Value* more = b_.CreateICmpNE(rest, b_.getInt32(0));
  left->addIncoming(active, before);
  left->addIncoming(rest, b_.GetInsertBlock());
  close(left);
  b_.CreateCondBr(more, loop, after);
  b_.SetInsertPoint(after);
}

void Emitter::copy(MemTransferInst& inst) {
  Lanes to = lanes(inst.getRawDest()), from = lanes(inst.getRawSource());
  Value* n = scalar(inst.getLength());
  if (control_.divergent(inst.getLength()))
    return fail("copy of a length that differs between lanes");
  if (to.interleaved || from.interleaved) return fail("copy of interleaved memory");
  auto* move = &inst;
  auto emit = [&](Value* d, Value* s) {
    if (isa<MemMoveInst>(move))
      b_.CreateMemMove(d, inst.getDestAlign(), s, inst.getSourceAlign(), n);
    else
      b_.CreateMemCpy(d, inst.getDestAlign(), s, inst.getSourceAlign(), n);
  };
  if (to.scalar && from.scalar) return emit(to.scalar, from.scalar);
  Value *d = vector(inst.getRawDest()), *s = vector(inst.getRawSource());
  auto* size = dyn_cast<ConstantInt>(n);
  constexpr uint64_t dummy_bytes = 64;  // what safe pointers may touch
  if (size && size->getZExtValue() <= dummy_bytes) {
    // One block per lane, inactive lanes move the dummy.
    d = safe_pointers(d);
    s = safe_pointers(s);
    auto* block = FixedVectorType::get(b_.getInt8Ty(), size->getZExtValue());
    for (unsigned l = 0; l < width; l++) {
      Value* x = b_.CreateAlignedLoad(block, b_.CreateExtractElement(s, uint64_t(l)), Align(1));
      b_.CreateAlignedStore(x, b_.CreateExtractElement(d, uint64_t(l)), Align(1));
    }
    return;
  }
  per_active_lane([&](Value* lane) {
    emit(b_.CreateExtractElement(d, lane), b_.CreateExtractElement(s, lane));
  });
}

void Emitter::fill(MemSetInst& inst) {
  if (control_.divergent(inst.getLength()))
    return fail("fill of a length that differs between lanes");
  Lanes to = lanes(inst.getRawDest());
  if (to.interleaved) return fail("fill of interleaved memory");
  Value* n = scalar(inst.getLength());
  if (to.scalar && lanes(inst.getValue()).scalar) {
    b_.CreateMemSet(to.scalar, scalar(inst.getValue()), n, inst.getDestAlign());
    return;
  }
  Value *d = vector(inst.getRawDest()), *x = vector(inst.getValue());
  per_active_lane([&](Value* lane) {
    b_.CreateMemSet(b_.CreateExtractElement(d, lane), b_.CreateExtractElement(x, lane), n,
                    inst.getDestAlign());
  });
}

void Emitter::atomic(CallInst& inst, const Intrinsic& op) {
  Type* type = op.value;
  auto order = AtomicOrdering::Monotonic;
  Align align(layout_.getTypeStoreSize(type));
  Value* pointers = vector(inst.getArgOperand(0));
  bool exchange = op.op == Op::atomic_compare_exchange;
  Value* operand =
      op.op == Op::atomic_load ? nullptr : vector(inst.getArgOperand(exchange ? 2 : 1));
  Value *expected = nullptr, *places = nullptr;
  if (exchange) {
    Lanes p = lanes(inst.getArgOperand(1));
    expected = load_lanes(p, type, align);
    places = vector(inst.getArgOperand(1));
  }
  Value* slot = scratch_pointer(scratch(uint64_t(width) * align.value()));
  per_active_lane([&](Value* lane) {
    Value* p = b_.CreateExtractElement(pointers, lane);
    Value* x = operand ? b_.CreateExtractElement(operand, lane) : nullptr;
    Value* old = nullptr;
    auto rmw = [&](AtomicRMWInst::BinOp kind) {
      old = b_.CreateAtomicRMW(kind, p, x, align, order);
    };
    bool real = type->isFloatingPointTy();
    switch (op.op) {
      case Op::atomic_add:
        rmw(real ? AtomicRMWInst::FAdd : AtomicRMWInst::Add);
        break;
      case Op::atomic_sub:
        rmw(real ? AtomicRMWInst::FSub : AtomicRMWInst::Sub);
        break;
      case Op::atomic_min:
        rmw(real ? AtomicRMWInst::FMin : op.is_signed ? AtomicRMWInst::Min : AtomicRMWInst::UMin);
        break;
      case Op::atomic_max:
        rmw(real ? AtomicRMWInst::FMax : op.is_signed ? AtomicRMWInst::Max : AtomicRMWInst::UMax);
        break;
      case Op::atomic_and:
        rmw(AtomicRMWInst::And);
        break;
      case Op::atomic_or:
        rmw(AtomicRMWInst::Or);
        break;
      case Op::atomic_xor:
        rmw(AtomicRMWInst::Xor);
        break;
      case Op::atomic_exchange:
        rmw(AtomicRMWInst::Xchg);
        break;
      case Op::atomic_load: {
        LoadInst* l = b_.CreateAlignedLoad(type, p, align);
        l->setAtomic(order);
        old = l;
        break;
      }
      case Op::atomic_store: {
        StoreInst* s = b_.CreateAlignedStore(x, p, align);
        s->setAtomic(order);
        break;
      }
      case Op::atomic_compare_exchange: {
        Type* bits_type = b_.getIntNTy(type->getPrimitiveSizeInBits());
        Value* e = b_.CreateBitCast(b_.CreateExtractElement(expected, lane), bits_type);
        Value* pair =
            b_.CreateAtomicCmpXchg(p, e, b_.CreateBitCast(x, bits_type), align, order, order);
        old = b_.CreateBitCast(b_.CreateExtractValue(pair, 0), type);
        // On failure the value found goes where the expected one was; on success it is the same.
        b_.CreateAlignedStore(old, b_.CreateExtractElement(places, lane), Align(1));
        break;
      }
      default:
        fail("atomic operation");
    }
    if (old) b_.CreateAlignedStore(old, b_.CreateGEP(type, slot, lane), align);
  });
  if (!inst.getType()->isVoidTy()) set_vector(&inst, b_.CreateAlignedLoad(wide(type), slot, align));
}

}  // namespace mfa::simd
