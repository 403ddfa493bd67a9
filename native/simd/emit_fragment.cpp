// SPDX-License-Identifier: MIT
// Matrices that lanes put together from two loads each -> one load of the tile.
//
// Kernels compiled by Apple read fragments this way: lane l loads element (row(l), column(l)) and
// its right neighbour. Where the addresses of all lanes form an 8x8 tile with constant strides in
// threadgroup memory, the tile is read as a whole. Inactive lanes' elements are read too; they lie
// between those of active lanes, or in the slack the executor keeps behind threadgroup memory.
#include "simd/emit.h"
#include "simd/matrix_types.h"
#include "simd/tiles.h"

namespace mfa::simd {

using namespace llvm;

namespace {

/// The load behind a value, through widening conversions.
LoadInst* load_of(Value* value) {
  while (auto* extension = dyn_cast<FPExtInst>(value)) value = extension->getOperand(0);
  return dyn_cast<LoadInst>(value);
}

}  // namespace

/// Addresses base + row(l) * row_bytes + column(l) * column_bytes; false if they are anything else.
static bool tile_addresses(Constant* offsets, int64_t& first, int64_t& row, int64_t& column) {
  auto at = [&](unsigned l) {
    return cast<ConstantInt>(offsets->getAggregateElement(l))->getSExtValue();
  };
  for (unsigned l = 0; l < MFA_SIMD_WIDTH; l++)
    if (!isa_and_nonnull<ConstantInt>(offsets->getAggregateElement(l))) return false;
  first = at(0);
  row = at(2) - first;
  int64_t pair = at(1) - first;
  if (pair % 2) return false;
  column = pair / 2;
  for (unsigned l = 0; l < MFA_SIMD_WIDTH; l++)
    if (at(l) != first + lane_row(l) * row + lane_column(l) * column) return false;
  return true;
}

Value* Emitter::fragment(Instruction& last, Value* first_element, Value* second_element) {
  LoadInst *a = load_of(first_element), *b = load_of(second_element);
  constexpr unsigned threadgroup_space = 3;
  if (!a || !b || a->getParent() != last.getParent() || b->getParent() != a->getParent() ||
      a->getType() != b->getType() || a->getPointerAddressSpace() != threadgroup_space ||
      b->getPointerAddressSpace() != threadgroup_space)
    return nullptr;
  Lanes p = lanes(a->getPointerOperand()), q = lanes(b->getPointerOperand());
  if (!p.base || !q.base || p.guard || q.guard) return nullptr;
  int64_t first, row, column, again, row_again, column_again;
  if (!tile_addresses(p.offsets, first, row, column) ||
      !tile_addresses(q.offsets, again, row_again, column_again) || row != row_again ||
      column != column_again)
    return nullptr;
  APInt at_p(64, 0), at_q(64, 0);
  if (p.base->stripAndAccumulateConstantOffsets(layout_, at_p, true) !=
      q.base->stripAndAccumulateConstantOffsets(layout_, at_q, true))
    return nullptr;
  if (at_q.getSExtValue() + again - at_p.getSExtValue() - first != column) return nullptr;
  int64_t size = layout_.getTypeStoreSize(a->getType());
  if (row % size || column % size) return nullptr;
  // Nothing may have been written since.
  Instruction* start = a->comesBefore(b) ? a : b;
  for (Instruction* i = start; i != &last; i = i->getNextNode())
    if (i->mayWriteToMemory()) return nullptr;
  Value* pointer = b_.CreateConstGEP1_64(b_.getInt8Ty(), p.base, first);
  Value* tile =
      tiles::load(b_, a->getType(), pointer, b_.getInt64(row / size), b_.getInt64(column / size));
  if (a->getType() == first_element->getType()) return tile;
  return b_.CreateFPExt(tile, FixedVectorType::get(first_element->getType(), 64));
}

}  // namespace mfa::simd
