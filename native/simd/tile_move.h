// SPDX-License-Identifier: MIT
// A way to copy a tile -> a function of the module. A call is a tenth of the code, which is what
// compilation takes its time for, and no tile waits in registers until it is needed.
#pragma once

#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

#include "llvm/ADT/ArrayRef.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Module.h"

namespace mfa::simd::tiles {

/// An internal void function on registers of at most `vector_bits`, for the CPU of `like`.
llvm::Function* outlined(llvm::Module& module, const llvm::Function& like, const char* name,
                         llvm::ArrayRef<llvm::Type*> parameters, unsigned vector_bits);

/// void(ptr to, ptr from, i64 to_row, i64 from_row): copies a tile of FP32, perhaps transposed;
/// strides in bytes.
llvm::Function* mover(llvm::Module& module, const llvm::Function& like, bool transposed);

/// How an operand becomes 64 elements side by side.
struct Packing {
  llvm::Type* from;         // half or bfloat, in lines of eight
  bool transposed = false;  // the lines are columns
  bool bfloat = false;      // the result is bfloat (and so is `from`) instead of FP32
  bool pairs = false;       // it goes to [k / 2][column][k % 2]
  int64_t bytes() const { return bfloat ? 128 : 256; }  // of the result
  auto key() const { return std::tie(from, transposed, bfloat, pairs); }
  bool operator<(const Packing& other) const { return key() < other.key(); }
};

/// void(ptr to, ptr from, i64 line, i64 count, i64 step): packs `count` tiles one behind the other;
/// `line` elements from one line to the next, `step` bytes from one tile to the next.
llvm::Function* packer(llvm::Module& module, const llvm::Function& like, const Packing& packing);

/// A tile that is to be packed: `offset` bytes behind `base` -> `to` bytes behind the scratch
/// memory.
struct Pack {
  Packing how;
  int64_t to;
  llvm::Value* base;
  int64_t offset;
  llvm::Value* line;
};

/// Calls of packers, one for tiles at equal distances; empties the list.
void emit_packs(llvm::Function& function, llvm::IRBuilderBase& b, llvm::Value* scratch,
                std::vector<Pack>& packs, std::map<Packing, llvm::Function*>& packers);

}  // namespace mfa::simd::tiles
