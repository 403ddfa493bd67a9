// SPDX-License-Identifier: MIT
// Kernel parameters and built-ins -> values computed from mfa_launch and mfa_group (exec/abi.h).
#include "simd/prologue.h"

#include <string>

#include "exec/abi.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/Function.h"
#include "llvm/IR/GlobalVariable.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/ReplaceConstant.h"

namespace mfa::simd {
namespace {

using llvm::IRBuilderBase;
using llvm::Type;
using llvm::Value;

constexpr uint32_t quad_width = 4;

constexpr std::pair<std::string_view, Builtin> names[] = {
    {"air.thread_position_in_grid", Builtin::thread_position_in_grid},
    {"air.thread_position_in_threadgroup", Builtin::thread_position_in_threadgroup},
    {"air.threadgroup_position_in_grid", Builtin::threadgroup_position_in_grid},
    {"air.threads_per_grid", Builtin::threads_per_grid},
    {"air.grid_size", Builtin::threads_per_grid},
    {"air.threadgroups_per_grid", Builtin::threadgroups_per_grid},
    {"air.threads_per_threadgroup", Builtin::threads_per_threadgroup},
    {"air.dispatch_threads_per_threadgroup", Builtin::dispatch_threads_per_threadgroup},
    {"air.thread_index_in_threadgroup", Builtin::thread_index_in_threadgroup},
    {"air.thread_index_in_simdgroup", Builtin::thread_index_in_simdgroup},
    {"air.thread_index_in_quadgroup", Builtin::thread_index_in_quadgroup},
    {"air.simdgroup_index_in_threadgroup", Builtin::simdgroup_index_in_threadgroup},
    {"air.quadgroup_index_in_threadgroup", Builtin::quadgroup_index_in_threadgroup},
    {"air.simdgroups_per_threadgroup", Builtin::simdgroups_per_threadgroup},
    {"air.quadgroups_per_threadgroup", Builtin::quadgroups_per_threadgroup},
    {"air.dispatch_simdgroups_per_threadgroup", Builtin::dispatch_simdgroups_per_threadgroup},
    {"air.dispatch_quadgroups_per_threadgroup", Builtin::dispatch_quadgroups_per_threadgroup},
    {"air.threads_per_simdgroup", Builtin::threads_per_simdgroup},
    {"air.thread_execution_width", Builtin::threads_per_simdgroup},
    {"air.grid_origin", Builtin::grid_origin},
};

/// `scalar` in the shape of `like`.
Value* match_shape(IRBuilderBase& builder, Value* scalar, Value* like) {
  auto* vector = llvm::dyn_cast<llvm::VectorType>(like->getType());
  if (!vector || scalar->getType()->isVectorTy()) return scalar;
  return builder.CreateVectorSplat(vector->getElementCount(), scalar);
}

Value* product_of_sizes(IRBuilderBase& builder, Value* x, Value* y, Value* z) {
  return builder.CreateMul(builder.CreateMul(x, y), z);
}

/// ceil(threads / width) for a constant power of two.
Value* groups_of(IRBuilderBase& builder, Value* threads, uint32_t width) {
  return builder.CreateUDiv(builder.CreateAdd(threads, builder.getInt32(width - 1)),
                            builder.getInt32(width));
}

}  // namespace

Result<Builtin> parse_builtin(std::string_view name) {
  for (auto [text, builtin] : names)
    if (text == name) return builtin;
  return Error{"the built-in argument " + std::string(name) + " is not supported"};
}

bool is_uniform(Builtin builtin) {
  switch (builtin) {
    case Builtin::thread_position_in_grid:
    case Builtin::thread_position_in_threadgroup:
    case Builtin::thread_index_in_threadgroup:
    case Builtin::thread_index_in_simdgroup:
    case Builtin::thread_index_in_quadgroup:
    case Builtin::quadgroup_index_in_threadgroup:
      return false;
    default:
      return true;
  }
}

GroupAccess::GroupAccess(IRBuilderBase& builder, Value* group) : builder_(builder), group_(group) {}

Value* GroupAccess::field(Type* type, Value* base, uint64_t offset) {
  Value* address = builder_.CreateConstInBoundsGEP1_64(builder_.getInt8Ty(), base, offset);
  llvm::Align align(type->isPointerTy() ? 8 : 4);
  llvm::LoadInst* load = builder_.CreateAlignedLoad(type, address, align);
  load->setMetadata(llvm::LLVMContext::MD_invariant_load,
                    llvm::MDNode::get(builder_.getContext(), {}));
  return load;
}

Value* GroupAccess::launch() {
  if (!launch_) launch_ = field(builder_.getPtrTy(), group_, offsetof(mfa_group, launch));
  return launch_;
}

Value* GroupAccess::threadgroup_memory() {
  return field(builder_.getPtrTy(), group_, offsetof(mfa_group, threadgroup));
}

Value* GroupAccess::buffer(unsigned slot, unsigned address_space) {
  Value* flat = field(builder_.getPtrTy(), launch(), offsetof(mfa_launch, buffers) + 8 * slot);
  return builder_.CreateAddrSpaceCast(flat, builder_.getPtrTy(address_space));
}

Value* GroupAccess::threadgroup_argument(unsigned slot) {
  Value* offset =
      field(builder_.getInt32Ty(), launch(), offsetof(mfa_launch, threadgroup_offsets) + 4 * slot);
  Value* flat = builder_.CreateInBoundsGEP(builder_.getInt8Ty(), threadgroup_memory(),
                                           builder_.CreateZExt(offset, builder_.getInt64Ty()));
  return builder_.CreateAddrSpaceCast(flat, builder_.getPtrTy(3));
}

Value* GroupAccess::group_position(unsigned axis) {
  return field(builder_.getInt32Ty(), group_, offsetof(mfa_group, position) + 4 * axis);
}

Value* GroupAccess::group_size(unsigned axis) {
  return field(builder_.getInt32Ty(), group_, offsetof(mfa_group, size) + 4 * axis);
}

Value* GroupAccess::simdgroups() {
  return field(builder_.getInt32Ty(), group_, offsetof(mfa_group, simdgroups));
}

Value* GroupAccess::threads_per_grid(unsigned axis) {
  return field(builder_.getInt32Ty(), launch(), offsetof(mfa_launch, threads_per_grid) + 4 * axis);
}

Value* GroupAccess::groups_per_grid(unsigned axis) {
  return field(builder_.getInt32Ty(), launch(),
               offsetof(mfa_launch, threadgroups_per_grid) + 4 * axis);
}

Value* GroupAccess::size_asked_for(unsigned axis) {
  return field(builder_.getInt32Ty(), launch(), offsetof(mfa_launch, threads_per_group) + 4 * axis);
}

Value* thread_position(IRBuilderBase& builder, GroupAccess& access, Threads& threads,
                       unsigned axis) {
  if (threads.position[axis]) return threads.position[axis];
  Value* x_size = match_shape(builder, access.group_size(0), threads.linear);
  Value* y_size = match_shape(builder, access.group_size(1), threads.linear);
  Value* rows = builder.CreateUDiv(threads.linear, x_size);
  threads.position[0] = builder.CreateSub(threads.linear, builder.CreateMul(rows, x_size));
  threads.position[2] = builder.CreateUDiv(rows, y_size);
  threads.position[1] = builder.CreateSub(rows, builder.CreateMul(threads.position[2], y_size));
  return threads.position[axis];
}

Value* uniform_component(IRBuilderBase& builder, GroupAccess& access, Value* simdgroup,
                         Builtin builtin, unsigned axis) {
  auto asked = [&] {
    return product_of_sizes(builder, access.size_asked_for(0), access.size_asked_for(1),
                            access.size_asked_for(2));
  };
  switch (builtin) {
    case Builtin::threadgroup_position_in_grid:
      return access.group_position(axis);
    case Builtin::threads_per_grid:
      return access.threads_per_grid(axis);
    case Builtin::threadgroups_per_grid:
      return access.groups_per_grid(axis);
    case Builtin::threads_per_threadgroup:
      return access.group_size(axis);
    case Builtin::dispatch_threads_per_threadgroup:
      return access.size_asked_for(axis);
    case Builtin::simdgroup_index_in_threadgroup:
      return simdgroup;
    case Builtin::simdgroups_per_threadgroup:
      return access.simdgroups();
    case Builtin::quadgroups_per_threadgroup:
      return groups_of(builder,
                       product_of_sizes(builder, access.group_size(0), access.group_size(1),
                                        access.group_size(2)),
                       quad_width);
    case Builtin::dispatch_simdgroups_per_threadgroup:
      return groups_of(builder, asked(), MFA_SIMD_WIDTH);
    case Builtin::dispatch_quadgroups_per_threadgroup:
      return groups_of(builder, asked(), quad_width);
    case Builtin::threads_per_simdgroup:
      return builder.getInt32(MFA_SIMD_WIDTH);
    default:
      return builder.getInt32(0);  // grid_origin; lane built-ins do not come here
  }
}

Value* component(IRBuilderBase& builder, GroupAccess& access, Threads& threads, Builtin builtin,
                 unsigned axis) {
  auto constant = [&](uint32_t value) {
    return match_shape(builder, builder.getInt32(value), threads.linear);
  };
  switch (builtin) {
    case Builtin::thread_position_in_grid: {
      // Only the last group of an axis is smaller, so groups start at multiples of the size asked
      // for.
      Value* start = builder.CreateMul(access.group_position(axis), access.size_asked_for(axis));
      return builder.CreateAdd(match_shape(builder, start, threads.linear),
                               thread_position(builder, access, threads, axis));
    }
    case Builtin::thread_position_in_threadgroup:
      return thread_position(builder, access, threads, axis);
    case Builtin::thread_index_in_threadgroup:
      return threads.linear;
    case Builtin::thread_index_in_simdgroup:
      return threads.lane;
    case Builtin::thread_index_in_quadgroup:
      return builder.CreateAnd(threads.lane, constant(quad_width - 1));
    case Builtin::quadgroup_index_in_threadgroup:
      return builder.CreateUDiv(threads.linear, constant(quad_width));
    default:
      return uniform_component(builder, access, threads.simdgroup, builtin, axis);
  }
}

Value* assemble(IRBuilderBase& builder, Type* type, llvm::function_ref<Value*(unsigned)> get) {
  auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type);
  if (!vector) return builder.CreateZExtOrTrunc(get(0), type);
  Value* result = llvm::PoisonValue::get(type);
  for (unsigned axis = 0; axis < vector->getNumElements(); ++axis) {
    Value* value = axis < 3 ? get(axis) : builder.getInt32(0);
    value = builder.CreateZExtOrTrunc(value, vector->getElementType());
    result = builder.CreateInsertElement(result, value, uint64_t(axis));
  }
  return result;
}

StaticMemory static_threadgroup_memory(llvm::Module& module) {
  StaticMemory memory;
  const llvm::DataLayout& layout = module.getDataLayout();
  uint64_t end = 0;
  for (llvm::GlobalVariable& variable : module.globals()) {
    if (variable.getAddressSpace() != 3) continue;
    llvm::Align align =
        variable.getAlign().value_or(layout.getABITypeAlign(variable.getValueType()));
    end = llvm::alignTo(end, align);
    memory.offsets.push_back({&variable, uint32_t(end)});
    end += layout.getTypeAllocSize(variable.getValueType());
  }
  memory.bytes = uint32_t(llvm::alignTo(end, 16));
  return memory;
}

void replace_static_memory(IRBuilderBase& builder, GroupAccess& access, llvm::Function& function,
                           const StaticMemory& memory) {
  if (memory.offsets.empty()) return;
  llvm::SmallVector<llvm::Constant*, 8> constants;
  for (auto& [variable, offset] : memory.offsets) constants.push_back(variable);
  llvm::convertUsersOfConstantsToInstructions(constants, &function);
  Value* base = builder.CreateAddrSpaceCast(access.threadgroup_memory(), builder.getPtrTy(3));
  for (auto& [variable, offset] : memory.offsets) {
    Value* address = builder.CreateConstInBoundsGEP1_64(builder.getInt8Ty(), base, offset);
    variable->replaceUsesWithIf(address, [&](llvm::Use& use) {
      auto* user = llvm::dyn_cast<llvm::Instruction>(use.getUser());
      return user && user->getFunction() == &function && user != address;
    });
  }
}

}  // namespace mfa::simd
