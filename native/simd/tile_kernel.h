// SPDX-License-Identifier: MIT
// The shape of a register-blocked multiplication -> a function of the module.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "llvm/IR/Module.h"

namespace mfa::simd::tiles {

/// Elements from one row of an accumulator tile to the next. The tiles that one call works on share
/// their rows, so that a row of all of them is consecutive and a register holds a part of it.
constexpr int64_t accumulator_row(unsigned lanes) { return lanes == 16 ? 32 : 24; }

/// How the operands lie in memory.
enum class Operands : uint8_t {
  floats,        // FP32
  bfloats,       // bfloat; A's columns are consecutive
  bfloat_pairs,  // the same, but B as B[k / 2][column][k % 2], 64 elements for each tile
};

/// C[8 x 8 columns] (+)= sum over k of A[8 x 8] B[8 x 8 columns], C in FP32. Strides in elements; 0
/// means known at run time only.
struct KernelShape {
  Operands operands = Operands::floats;
  int64_t a_row = 0, a_column = 0;  // of A
  int64_t b_row = 0;                // of B; its columns are consecutive
  int64_t a_step = 0, b_step = 0;   // bytes from one k to the next
  bool zero = false;                // C starts at zero instead of at its content
  std::vector<int64_t> b_tiles;     // byte offset of each column tile of B from the first
  std::vector<int64_t> c_tiles;     // likewise of C
  unsigned lanes = 16;              // floats per register: 16 or 8

  auto key() const {
    return std::tie(operands, a_row, a_column, b_row, a_step, b_step, zero, b_tiles, c_tiles,
                    lanes);
  }
  bool operator<(const KernelShape& other) const { return key() < other.key(); }
};

/// How many of `columns` neighbouring column tiles the next call takes.
unsigned columns_of_call(unsigned columns, unsigned lanes);

/// void(ptr a, ptr b, ptr c, i64 count, i64 a_row, i64 a_column, i64 b_row). C stays in registers.
/// With 32 registers of 16 floats: 8 rows by 4 tiles, so that for every 16 fused multiply-adds
/// there are 8 loads of A and two of B. With 16 registers of 8 floats: 4 rows by 3 or 2 tiles, then
/// the other 4 rows; or 8 rows by one tile.
llvm::Function* kernel(llvm::Module& module, const llvm::Function& like, const KernelShape& shape);

}  // namespace mfa::simd::tiles
