// SPDX-License-Identifier: MIT
// Kernel parameters and built-ins -> values computed from mfa_launch and mfa_group (exec/abi.h).
//
// Uniform values come out as scalars. What differs between lanes is computed from the thread's
// index, which may be a scalar (reference path) or a vector with one element per lane.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "air/reflection.h"
#include "base/result.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/IR/IRBuilder.h"

namespace mfa::simd {

/// The built-ins of AIR.md 2.5 and the compute ones it lists as known.
enum class Builtin : uint8_t {
  thread_position_in_grid,
  thread_position_in_threadgroup,
  threadgroup_position_in_grid,
  threads_per_grid,
  threadgroups_per_grid,
  threads_per_threadgroup,           // the actual size of this group
  dispatch_threads_per_threadgroup,  // the size asked for
  thread_index_in_threadgroup,
  thread_index_in_simdgroup,
  thread_index_in_quadgroup,
  simdgroup_index_in_threadgroup,
  quadgroup_index_in_threadgroup,
  simdgroups_per_threadgroup,
  quadgroups_per_threadgroup,
  dispatch_simdgroups_per_threadgroup,
  dispatch_quadgroups_per_threadgroup,
  threads_per_simdgroup,  // also thread_execution_width
  grid_origin,            // always 0
};

/// `name` as in air::Argument::builtin, e.g. "air.thread_position_in_grid".
Result<Builtin> parse_builtin(std::string_view name);

/// Equal in all lanes of a simdgroup, whatever the threadgroup's shape.
bool is_uniform(Builtin builtin);

/// Loads from mfa_group and mfa_launch. Loads are emitted where the builder stands and marked
/// invariant; axis 0 to 2.
class GroupAccess {
 public:
  GroupAccess(llvm::IRBuilderBase& builder, llvm::Value* group);

  llvm::Value* launch();
  llvm::Value* threadgroup_memory();                           // ptr
  llvm::Value* buffer(unsigned slot, unsigned address_space);  // ptr addrspace(n)
  llvm::Value* threadgroup_argument(unsigned slot);            // ptr addrspace(3)
  llvm::Value* group_position(unsigned axis);                  // all below are i32
  llvm::Value* group_size(unsigned axis);
  llvm::Value* simdgroups();
  llvm::Value* threads_per_grid(unsigned axis);
  llvm::Value* groups_per_grid(unsigned axis);
  llvm::Value* size_asked_for(unsigned axis);

 private:
  llvm::Value* field(llvm::Type* type, llvm::Value* base, uint64_t offset);
  llvm::IRBuilderBase& builder_;
  llvm::Value* group_;
  llvm::Value* launch_ = nullptr;
};

/// The threads a piece of code runs for. `linear` and `lane` are i32 or vectors of i32;
/// `position` is filled in on demand by `thread_position`.
struct Threads {
  llvm::Value* simdgroup = nullptr;  // scalar i32
  llvm::Value* linear = nullptr;     // thread_index_in_threadgroup
  llvm::Value* lane = nullptr;       // thread_index_in_simdgroup
  llvm::Value* position[3] = {};     // thread_position_in_threadgroup
};

/// x = t % size.x, y = t / size.x % size.y, z = t / (size.x * size.y); emitted once.
llvm::Value* thread_position(llvm::IRBuilderBase& builder, GroupAccess& access, Threads& threads,
                             unsigned axis);

/// One component of a uniform built-in as a scalar i32.
llvm::Value* uniform_component(llvm::IRBuilderBase& builder, GroupAccess& access,
                               llvm::Value* simdgroup, Builtin builtin, unsigned axis);

/// One component of any built-in as i32: a scalar if it is uniform, else of the type of
/// `threads.linear`.
llvm::Value* component(llvm::IRBuilderBase& builder, GroupAccess& access, Threads& threads,
                       Builtin builtin, unsigned axis);

/// Shapes components into the type the kernel's parameter has: scalar or vector of 2 or 3, i16 or
/// i32 (or i64). `get(axis)` gives scalar i32 components.
llvm::Value* assemble(llvm::IRBuilderBase& builder, llvm::Type* type,
                      llvm::function_ref<llvm::Value*(unsigned)> get);

/// Offsets of the static threadgroup variables (globals of address space 3) in module order.
struct StaticMemory {
  std::vector<std::pair<llvm::GlobalVariable*, uint32_t>> offsets;
  uint32_t bytes = 0;  // rounded up to 16
};
StaticMemory static_threadgroup_memory(llvm::Module& module);

/// Replaces the uses of static threadgroup variables inside `function` by addresses in the group's
/// memory, computed where `builder` stands. Constant expressions are expanded first.
void replace_static_memory(llvm::IRBuilderBase& builder, GroupAccess& access,
                           llvm::Function& function, const StaticMemory& memory);

}  // namespace mfa::simd
