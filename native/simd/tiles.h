// SPDX-License-Identifier: MIT
// Operations on whole 8x8 tiles (row-major <64 x T>) -> loops over registers.
//
//   <64 x T> mfa.tile.load(ptr, i64 row_stride, i64 column_stride)
//   void     mfa.tile.store(<64 x T>, ptr, i64 row_stride, i64 column_stride)
//   <64 x D> mfa.tile.multiply(<64 x A>, <64 x B>, <64 x C>)     A B + C, rounded once to D
// Strides count elements.
#pragma once

#include <cstdint>

#include "llvm/IR/IRBuilder.h"
#include "llvm/Target/TargetMachine.h"

namespace mfa::simd::tiles {

llvm::Value* load(llvm::IRBuilderBase& b, llvm::Type* element, llvm::Value* pointer,
                  llvm::Value* row_stride, llvm::Value* column_stride);
void store(llvm::IRBuilderBase& b, llvm::Value* tile, llvm::Value* pointer, llvm::Value* row_stride,
           llvm::Value* column_stride);
llvm::Value* multiply(llvm::IRBuilderBase& b, llvm::Type* result, llvm::Value* a, llvm::Value* b2,
                      llvm::Value* c);

/// Replaces every tile call in `function`. Accumulators that live across blocks get places in the
/// scratch memory (third parameter); chains of multiplications that share operands become calls of
/// register-blocked functions added to the module. Returns the scratch bytes needed beyond
/// `scratch_bytes`.
uint32_t lower(llvm::Function& function, const llvm::TargetMachine& target, uint32_t scratch_bytes);

}  // namespace mfa::simd::tiles
