// SPDX-License-Identifier: MIT
// The shape of a register-blocked multiplication -> a function of the module.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "llvm/IR/Module.h"

namespace mfa::simd::tiles {

/// C[8 x 8 columns] (+)= sum over k of A[8 x 8] B[8 x 8 columns]. Strides in elements of FP32;
/// 0 means known at run time only.
struct KernelShape {
  int64_t a_row = 0, a_column = 0;  // of A; any
  int64_t b_row = 0;                // of B; its columns are consecutive
  int64_t a_step = 0, b_step = 0;   // bytes from one k to the next
  bool zero = false;                // C starts at zero instead of at its content
  std::vector<int64_t> b_tiles;     // byte offset of each column tile of B from the first
  std::vector<int64_t> c_tiles;     // likewise of C; a tile of C is 64 consecutive floats
  unsigned lanes = 16;              // floats per register: 16 or 8

  auto key() const {
    return std::tie(a_row, a_column, b_row, a_step, b_step, zero, b_tiles, c_tiles, lanes);
  }
  bool operator<(const KernelShape& other) const { return key() < other.key(); }
};

/// void(ptr a, ptr b, ptr c, i64 count, i64 a_row, i64 a_column, i64 b_row). Its cost is 8 loads of
/// A and one of B per tile pair for every 8 fused multiply-adds per pair; C stays in registers.
llvm::Function* kernel(llvm::Module& module, const llvm::Function& like, const KernelShape& shape);

}  // namespace mfa::simd::tiles
