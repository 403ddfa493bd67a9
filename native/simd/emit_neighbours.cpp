// SPDX-License-Identifier: MIT
// Elements that each lane reads or writes side by side -> one gather or scatter of up to 8 bytes.
//
// Kernels meant for GPUs hand every lane a short row or a structure of its own, element by element.
// CPUs gather and scatter 32 and 64 bits, if at all; elements by themselves would take 32 accesses
// each.
#include <map>

#include "simd/emit.h"

namespace mfa::simd {

using namespace llvm;

namespace {

template <class Access>
using Found = std::map<int64_t, SmallVector<Access*, 1>>;  // by the distance in bytes from one

/// A plain element of 1, 2 or 4 bytes, aligned.
template <class Access>
bool plain(const Access& access, uint64_t size, const DataLayout& layout) {
  Type* type = getLoadStoreType(const_cast<Access*>(&access));
  return access.isSimple() && !type->isPointerTy() && access.getAlign() >= size &&
         layout.getTypeStoreSize(type) == size && layout.getTypeSizeInBits(type) == 8 * size;
}

template <class Access>
const Value* root(const Access& access, APInt& at, const DataLayout& layout) {
  return access.getPointerOperand()->stripAndAccumulateConstantOffsets(layout, at, true);
}

/// Threadgroup memory is no buffer, so accesses to one may pass those to the other.
bool apart(unsigned a, unsigned b) { return a && b && (a == 3) != (b == 3); }

struct Piece {
  int64_t start = 0, bytes = 0;
};

/// The run of elements around the one at distance 0, cut into 8, 4 and 2 bytes from its start: the
/// piece that has it.
template <class Access>
Piece piece(const Found<Access>& found, int64_t step) {
  Piece out{0, 8};
  int64_t end = step;
  while (found.count(out.start - step)) out.start -= step;
  while (found.count(end)) end += step;
  while (out.start + out.bytes <= 0 || out.start + out.bytes > end) {
    if (out.start + out.bytes <= end)
      out.start += out.bytes;
    else
      out.bytes /= 2;
  }
  return out;
}

}  // namespace

bool Emitter::mergeable(const Lanes& p, uint64_t size) const {
  return !p.owner && !p.scalar && (size == 1 || size == 2 || size == 4);
}

/// The pointers, so many bytes further.
Lanes Emitter::moved(Lanes p, int64_t bytes) {
  if (p.base) p.base = b_.CreateGEP(b_.getInt8Ty(), p.base, b_.getInt64(bytes));
  p.vector = b_.CreateGEP(b_.getInt8Ty(), p.vector, splat(b_.getInt64(bytes)));
  return p;
}

/// What lies beside `inst` and is loaded in this block before anything is written comes with it.
bool Emitter::load_neighbours(LoadInst& inst, const Lanes& p) {
  uint64_t size = layout_.getTypeStoreSize(inst.getType());
  if (!mergeable(p, size) || !plain(inst, size, layout_)) return false;
  unsigned space = inst.getPointerAddressSpace();
  APInt home(64, 0);
  const Value* base = root(inst, home, layout_);
  Found<LoadInst> found;
  found[0].push_back(&inst);
  for (Instruction* next = inst.getNextNode(); next; next = next->getNextNode()) {
    if (auto* s = dyn_cast<StoreInst>(next); s && apart(s->getPointerAddressSpace(), space))
      continue;
    if (next->mayWriteToMemory()) break;
    auto* l = dyn_cast<LoadInst>(next);
    APInt at(64, 0);
    if (l && l->getPointerAddressSpace() == space && plain(*l, size, layout_) &&
        root(*l, at, layout_) == base)
      found[(at - home).getSExtValue()].push_back(l);
  }
  int64_t step = int64_t(size);
  Piece part = piece(found, step);
  if (part.bytes <= step) return false;
  Type* word = b_.getIntNTy(unsigned(8 * part.bytes));
  Value* all = load_lanes(moved(p, part.start), word, inst.getAlign());
  for (int64_t at = 0; at < part.bytes; at += step)
    for (LoadInst* l : found[part.start + at]) {
      Value* bits = b_.CreateTrunc(b_.CreateLShr(all, uint64_t(8 * at)),
                                   wide(b_.getIntNTy(unsigned(8 * size))));
      loaded_[l] = b_.CreateBitCast(bits, wide(l->getType()));
    }
  return true;
}

/// What is stored beside `inst` in this block, with no access to the same memory in between, waits
/// for the last of them, which stores all. True if `inst` is dealt with.
bool Emitter::store_neighbours(StoreInst& inst, const Lanes& p) {
  uint64_t size = layout_.getTypeStoreSize(inst.getValueOperand()->getType());
  if (!mergeable(p, size) || !plain(inst, size, layout_)) return false;
  int64_t step = int64_t(size);
  if (!stores_.count(&inst)) {
    unsigned space = inst.getPointerAddressSpace();
    APInt home(64, 0);
    const Value* base = root(inst, home, layout_);
    Found<StoreInst> found;
    found[0].push_back(&inst);
    for (Instruction* next = inst.getNextNode(); next; next = next->getNextNode()) {
      if (auto* l = dyn_cast<LoadInst>(next); l && apart(l->getPointerAddressSpace(), space))
        continue;
      if (!next->mayReadOrWriteMemory()) continue;
      auto* s = dyn_cast<StoreInst>(next);
      APInt at(64, 0);
      if (!s || s->getPointerAddressSpace() != space || !plain(*s, size, layout_) ||
          root(*s, at, layout_) != base)
        break;
      int64_t distance = (at - home).getSExtValue();
      if (distance % step || found.count(distance) || stores_.count(s)) break;
      found[distance].push_back(s);
    }
    Piece part = piece(found, step);
    if (part.bytes <= step) return false;
    SmallVector<StoreInst*, 8> together;  // by address
    for (int64_t at = 0; at < part.bytes; at += step)
      together.push_back(found[part.start + at].front());
    StoreInst* last = together.front();
    for (StoreInst* s : together)
      if (last->comesBefore(s)) last = s;
    for (StoreInst* s : together) stores_[s] = s == last ? together : SmallVector<StoreInst*, 8>();
  }
  const auto& together = stores_[&inst];
  if (together.empty()) return true;
  unsigned bits = unsigned(8 * size * together.size());
  Type* word = wide(b_.getIntNTy(bits));
  Value* all = Constant::getNullValue(word);
  int64_t place = 0;
  for (unsigned i = 0; i < together.size(); ++i) {
    if (together[i] == &inst) place = int64_t(i) * step;
    Value* element = b_.CreateBitCast(vector(together[i]->getValueOperand()),
                                      wide(b_.getIntNTy(unsigned(8 * size))));
    all = b_.CreateOr(all, b_.CreateShl(b_.CreateZExt(element, word), uint64_t(8 * size * i)));
  }
  store_lanes(moved(p, -place), all, inst.getAlign());
  return true;
}

}  // namespace mfa::simd
