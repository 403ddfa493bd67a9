// SPDX-License-Identifier: MIT
// The name and type of an `air.*` function that survives specialisation -> an operation.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace llvm {
class CallBase;
class Function;
class Type;
}  // namespace llvm

namespace mfa::simd {

enum class Op : uint8_t {
  // Barriers: operands are flags and scopes, both ignored (AIR.md 5.1).
  threadgroup_barrier,
  simdgroup_barrier,
  atomic_fence,
  // Atomics: operand 0 is the pointer, operand 1 the value where there is one. compare_exchange:
  // 1 points to the expected value (address space 0), 2 is the desired one.
  atomic_add,
  atomic_sub,
  atomic_min,
  atomic_max,
  atomic_and,
  atomic_or,
  atomic_xor,
  atomic_exchange,
  atomic_load,
  atomic_store,
  atomic_compare_exchange,
  // Plain volatile accesses: load(pointer), store(value, pointer).
  coherent_load,
  coherent_store,
  // Reductions and scans of operand 0 over the active lanes.
  sum,
  product,
  min,
  max,
  bit_and,
  bit_or,
  bit_xor,
  prefix_inclusive_sum,
  prefix_inclusive_product,
  prefix_exclusive_sum,
  prefix_exclusive_product,
  // Votes.
  all,
  any,
  ballot,
  vote_all,
  vote_any,
  active_mask,
  is_first,
  is_helper,
  // Shuffles: operand 0 is the value, the next one (after the fill value) the index or distance.
  broadcast,
  broadcast_first,
  shuffle,
  shuffle_xor,
  shuffle_up,
  shuffle_down,
  shuffle_rotate_up,
  shuffle_rotate_down,
  shuffle_fill_up,
  shuffle_fill_down,
  // Matrices of <64 x T>, of which a lane holds elements 0 and 1.
  matrix_fill,
  matrix_diagonal,
  matrix_load,
  matrix_store,
  matrix_multiply,
  // Asynchronous copies return an event nobody looks into.
  async_copy_1d,
  async_copy_2d,
  async_wait,
  // Constants of the model.
  simdgroup_size,
  lane_index,
};

struct Intrinsic {
  Op op{};
  uint8_t width = 32;           // lanes that take part: 32 for simd_*, 4 for quad_*
  bool is_signed = false;       // integer kind `.s.`
  bool strided = false;         // matrix_load/store: (dims, strides, origin) instead of
                                // (elements per row, origin, transpose)
  llvm::Type* value = nullptr;  // T of the operation: the value reduced, shuffled, loaded or stored
};

/// Whether `callee` is an AIR function at all (its name begins with "air.").
bool is_air(const llvm::Function& callee);

/// Refuses unknown names and signatures the table does not know, by name.
Result<Intrinsic> parse_intrinsic(const llvm::Function& callee);

/// Needs all active lanes at one point: barriers, simd_*, quad_*, matrices, asynchronous copies.
bool is_convergent(Op op);
/// Every active lane gets the same result (AIR.md 8.4); shuffles with a uniform index not included.
bool has_uniform_result(const Intrinsic& intrinsic);
bool is_atomic(Op op);
bool is_matrix(Op op);

}  // namespace mfa::simd
