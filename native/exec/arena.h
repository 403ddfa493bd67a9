// SPDX-License-Identifier: MIT
// Memory a worker keeps between threadgroups: threadgroup memory, scratch and fiber stacks.
#pragma once

#include <cstddef>
#include <cstdint>

#include "exec/fiber.h"

namespace mfa::exec {

/// Bytes aligned to 64 that only ever grow. Growing loses the contents.
class Block {
 public:
  Block() = default;
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  ~Block();

  /// Null if there is no memory. Never null for 0 bytes.
  unsigned char* reserve(size_t bytes);

 private:
  void* memory_ = nullptr;
  unsigned char* data_ = nullptr;  // memory_ rounded up to the alignment
  size_t capacity_ = 0;
};

/// Machine stacks of one size, each with an inaccessible page below it.
class Stacks {
 public:
  Stacks() = default;
  Stacks(const Stacks&) = delete;
  Stacks& operator=(const Stacks&) = delete;
  ~Stacks();

  /// At least `count` stacks of at least `bytes`. False if there is no memory; then there are none.
  bool reserve(unsigned count, size_t bytes);
  Stack operator[](unsigned index) const;

 private:
  void release();
  unsigned char* base_ = nullptr;
  unsigned count_ = 0;
  size_t bytes_ = 0, stride_ = 0;  // usable size of one stack; the same with its guard page
};

struct Arena {
  Block threadgroup, scratch, lanes, shadow;
  Stacks stacks;
};

}  // namespace mfa::exec
