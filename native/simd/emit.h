// SPDX-License-Identifier: MIT
// The structured lane program -> the vector program, instruction by instruction.
//
// A uniform value stays a scalar. A divergent one becomes a vector with one element per lane; for
// integers and pointers that are a scalar plus a constant per lane, that form is kept beside it, so
// that memory accesses can see contiguous addresses. Arithmetic on it is modular and hence exact;
// where it is widened, `guard` says at run time whether the widening was (no wrap between lanes).
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "exec/abi.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Analysis/InstSimplifyFolder.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/IntrinsicInst.h"
#include "simd/control.h"
#include "simd/intrinsic.h"

namespace llvm {
class TargetMachine;
}

namespace mfa::simd {

struct Lanes {
  llvm::Value* scalar = nullptr;  // the same in all active lanes
  llvm::Value* vector = nullptr;  // <32 x T>
  // base + offsets[lane] (bytes, for pointers), valid where guard holds; null: always.
  llvm::Value* base = nullptr;
  llvm::Constant* offsets = nullptr;
  llvm::Value* guard = nullptr;
  // Pointers into private memory laid out [element][lane]: their offsets count 32-fold.
  bool interleaved = false;
  llvm::AllocaInst* owner = nullptr;  // the private array a pointer points into
  // Matrices: row-major <64 x T>, or the two elements of each lane.
  llvm::Value* tile = nullptr;
  llvm::Value *first = nullptr, *second = nullptr;
};

class Emitter {
 public:
  /// `whole`: every simdgroup has all its lanes.
  Emitter(llvm::Function& source, Control& control, llvm::TargetMachine& target, bool whole);

  /// Builds the vector program beside `source`; it takes its name when the caller erases it.
  Result<llvm::Function*> run();

  uint32_t scratch_bytes() const { return scratch_bytes_; }
  bool barriers() const { return barriers_; }

 private:
  using Builder = llvm::IRBuilder<llvm::InstSimplifyFolder>;

  // emit_control.cpp
  void entry();
  llvm::Value* block_mask(llvm::BasicBlock* block);
  void terminator(llvm::Instruction& inst);
  void phi(llvm::PHINode& node);
  void edge(llvm::BasicBlock* from, llvm::BasicBlock* to, llvm::Value* mask);
  void induction(llvm::PHINode& node);
  llvm::PHINode* open_phi(llvm::Type* type, unsigned count, const char* name = "");
  void close(llvm::PHINode* phi);
  void finish_phis();
  llvm::BasicBlock* parting(llvm::BasicBlock* block);
  llvm::Value* both(llvm::Value* mask, llvm::Value* condition);
  llvm::Value* any(llvm::Value* mask);
  llvm::Value* bits(llvm::Value* mask);  // <32 x i1> -> i32

  // emit_value.cpp
  Lanes lanes(llvm::Value* value);
  llvm::Value* scalar(llvm::Value* value);
  llvm::Value* vector(llvm::Value* value);
  llvm::Value* splat(llvm::Value* scalar);
  llvm::FixedVectorType* wide(llvm::Type* type);
  void set_scalar(llvm::Value* key, llvm::Value* value) { map_[key].scalar = value; }
  void set_vector(llvm::Value* key, llvm::Value* value) { map_[key].vector = value; }
  void instruction(llvm::Instruction& inst);
  void uniform(llvm::Instruction& inst);
  void arithmetic(llvm::Instruction& inst);
  llvm::Value* divide(llvm::BinaryOperator& op, llvm::Value* a, llvm::Value* b);
  bool affine(llvm::Instruction& inst, Lanes& result);
  bool affine_operand(llvm::Value* value, Lanes& out);
  void pointer(llvm::GetElementPtrInst& inst);
  void intrinsic(llvm::IntrinsicInst& inst);
  void fail(const std::string& what);

  // emit_memory.cpp
  void place_private();
  void load(llvm::LoadInst& inst);
  bool scattered(const Lanes& p, llvm::Type* type) const;
  void store(llvm::StoreInst& inst);
  llvm::Value* load_lanes(const Lanes& p, llvm::Type* type, llvm::Align align);
  void store_lanes(const Lanes& p, llvm::Value* value, llvm::Align align);
  llvm::Value* gather(llvm::Value* pointers, llvm::Type* type, llvm::Align align);
  void scatter(llvm::Value* value, llvm::Value* pointers, llvm::Align align);
  llvm::Value* all_active();
  llvm::Value* contiguous_load(llvm::Value* pointer, llvm::Type* type, llvm::Align align);
  void contiguous_store(llvm::Value* value, llvm::Value* pointer, llvm::Align align);
  llvm::Value* safe_pointers(llvm::Value* pointers);
  llvm::Value* within_private(const Lanes& p, llvm::Type* type);
  void copy(llvm::MemTransferInst& inst);
  void fill(llvm::MemSetInst& inst);
  void atomic(llvm::CallInst& inst, const Intrinsic& op);
  void per_active_lane(llvm::function_ref<void(llvm::Value* lane)> body);
  uint32_t scratch(uint64_t bytes);
  llvm::Value* scratch_pointer(uint32_t offset);

  // emit_neighbours.cpp
  bool mergeable(const Lanes& p, uint64_t size) const;
  Lanes moved(Lanes p, int64_t bytes);
  bool load_neighbours(llvm::LoadInst& inst, const Lanes& p);
  bool store_neighbours(llvm::StoreInst& inst, const Lanes& p);

  // emit_copy.cpp
  void async_copy(llvm::CallInst& inst, const Intrinsic& op);

  // emit_simdgroup.cpp
  void air_call(llvm::CallInst& inst, const Intrinsic& op);
  void reduce(llvm::CallInst& inst, const Intrinsic& op);
  void scan(llvm::CallInst& inst, const Intrinsic& op);
  void shuffle(llvm::CallInst& inst, const Intrinsic& op);
  void vote(llvm::CallInst& inst, const Intrinsic& op);
  llvm::Value* permute(llvm::Value* vector, llvm::Value* indices);
  llvm::Value* look_up(llvm::Value* vector, llvm::Value* indices);
  llvm::Value* combine(const Intrinsic& op, llvm::Value* a, llvm::Value* b);
  llvm::Constant* identity(const Intrinsic& op, llvm::Type* type);

  // emit_matrix.cpp
  void matrix(llvm::CallInst& inst);
  void matrix_value(llvm::Instruction& inst);
  llvm::Value* tile(llvm::Value* value);
  llvm::Value* element(llvm::Value* value, unsigned index);

  // emit_fragment.cpp
  llvm::Value* fragment(llvm::Instruction& last, llvm::Value* first, llvm::Value* second);

  llvm::Function& source_;
  Control& control_;
  llvm::Module& module_;
  const llvm::DataLayout& layout_;
  llvm::Function* result_ = nullptr;
  Builder b_;
  std::string error_;

  std::optional<uint32_t> lane_slot_;  // in scratch memory: an element of each lane
  bool cheap_masks_;   // masked stores cost as much as others; many a CPU with AVX2 needs 20 cycles
  bool wide_masks_;    // masked memory operations on 8- and 16-bit elements
  bool gathers_;       // gathers of 32 and 64 bits
  bool scatters_;      // scatters of 32 and 64 bits
  bool table_lookup_;  // AVX-512: elements of 32 bits from two registers by index

  llvm::DenseMap<llvm::Value*, Lanes> map_;
  llvm::DenseMap<llvm::BasicBlock*, llvm::BasicBlock*> begin_, end_;
  llvm::DenseMap<llvm::BasicBlock*, llvm::Value*> masks_;     // on entry of a source block
  llvm::DenseMap<llvm::BasicBlock*, llvm::PHINode*> live_;    // of headers of divergent loops
  llvm::SetVector<llvm::BasicBlock*> joins_;                  // blocks where lanes come together
  llvm::MapVector<llvm::PHINode*, llvm::AllocaInst*> slots_;  // phis of such blocks
  llvm::SmallVector<std::pair<llvm::PHINode*, llvm::PHINode*>, 32> pending_;  // source, ours
  llvm::SmallVector<std::pair<llvm::PHINode*, llvm::PHINode*>, 8> bases_;     // of inductions
  llvm::DenseMap<llvm::LoadInst*, llvm::Value*> loaded_;                      // before their turn
  // Stores that go together: all of them at the last one, none at the others.
  llvm::DenseMap<llvm::StoreInst*, llvm::SmallVector<llvm::StoreInst*, 8>> stores_;
  llvm::DenseMap<llvm::Type*, llvm::Value*> unknown_;          // of open_phi()
  llvm::DenseMap<llvm::AllocaInst*, uint64_t> private_bytes_;  // of one lane
  bool whole_;
  llvm::Value* mask_ = nullptr;  // of the block being emitted
  llvm::Constant* lane_numbers_ = nullptr;
  uint32_t scratch_bytes_ = 64;  // the first bytes take what inactive lanes write
  bool barriers_ = false;
};

}  // namespace mfa::simd
