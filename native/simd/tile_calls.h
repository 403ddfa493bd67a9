// SPDX-License-Identifier: MIT
// Tile calls: recognising them and the plain code for each. Internal to the tile lowering.
#pragma once

#include "llvm/IR/IRBuilder.h"
#include "llvm/Target/TargetMachine.h"

namespace mfa::simd::tiles {

enum class TileOp : uint8_t { none, load, store, multiply };
TileOp tile_op(const llvm::Value* value);

llvm::Value* read_tile(llvm::IRBuilderBase& b, llvm::Type* element, llvm::Value* pointer,
                       llvm::Value* row_stride, llvm::Value* column_stride);
void write_tile(llvm::IRBuilderBase& b, llvm::Value* tile, llvm::Value* pointer,
                llvm::Value* row_stride, llvm::Value* column_stride);

/// Element-wise conversion between f32, f16 and bf16, each rounded to nearest even.
llvm::Value* convert(llvm::IRBuilderBase& b, llvm::Value* tile, llvm::Type* element);

/// Chains of FP32-accumulating multiplications -> calls of register-blocked functions
/// (tile_kernel.h) on operands in memory. Returns the scratch bytes used from now on.
uint32_t group_multiplications(llvm::Function& function, const llvm::TargetMachine& target,
                               uint32_t scratch_bytes);

}  // namespace mfa::simd::tiles
