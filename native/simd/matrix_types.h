// SPDX-License-Identifier: MIT
// 8x8 matrices in the lane program: `<64 x T>` of AIR -> a struct of the two elements a lane holds.
//
// Calls that act on whole matrices:
//   matrix mfa.matrix.fill.T(T), matrix mfa.matrix.diagonal.T(T)
//   matrix mfa.matrix.load.T(ptr, i64 row_stride, i64 column_stride)      strides in elements
//   void   mfa.matrix.store.T(matrix, ptr, i64 row_stride, i64 column_stride)
//   matrix mfa.matrix.multiply.D.A.B.C(matrix A, matrix B, matrix C)
#pragma once

#include "base/result.h"
#include "llvm/IR/Function.h"

namespace mfa::simd {

enum class MatrixOp : uint8_t { none, fill, diagonal, load, store, multiply };

/// The struct that stands for a matrix of `element`.
llvm::StructType* matrix_type(llvm::Type* element);
/// Its element type; null if `type` is not a matrix.
llvm::Type* matrix_element(const llvm::Type* type);

MatrixOp matrix_op(const llvm::Value* call);

/// Rewrites every `<64 x T>` value of `program`; refuses operations that are not in AIR.md 5.11/6.
Result<void> rewrite_matrices(llvm::Function& program);

/// Element (row, column) of lane l's element e is row lane_row(l), column lane_column(l) + e.
constexpr unsigned lane_row(unsigned lane) { return (lane >> 1 & 3) | (lane >> 4 & 1) << 2; }
constexpr unsigned lane_column(unsigned lane) { return (lane & 1) << 1 | (lane >> 3 & 1) << 2; }

}  // namespace mfa::simd
