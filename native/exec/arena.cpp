// SPDX-License-Identifier: MIT
// Memory a worker keeps between threadgroups: threadgroup memory, scratch and fiber stacks.
#include "exec/arena.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace mfa::exec {
namespace {

constexpr size_t alignment = 64;

size_t round_up(size_t value, size_t unit) { return (value + unit - 1) / unit * unit; }

}  // namespace

Block::~Block() { free(memory_); }

unsigned char* Block::reserve(size_t bytes) {
  if (data_ && bytes <= capacity_) return data_;
  // Zeros, because a kernel that reads what it never wrote should not see another kernel's data.
  void* memory = calloc(bytes + alignment, 1);
  if (!memory) return nullptr;
  free(memory_);
  memory_ = memory;
  data_ =
      reinterpret_cast<unsigned char*>(round_up(reinterpret_cast<uintptr_t>(memory), alignment));
  capacity_ = bytes;
  return data_;
}

Stacks::~Stacks() { release(); }

void Stacks::release() {
  if (base_) munmap(base_, stride_ * count_);
  base_ = nullptr;
  count_ = 0;
  bytes_ = stride_ = 0;
}

bool Stacks::reserve(unsigned count, size_t bytes) {
  if (count <= count_ && bytes <= bytes_) return true;
  count = std::max(count, count_);
  bytes = std::max(bytes, bytes_);
  release();
  size_t page = size_t(sysconf(_SC_PAGESIZE));
  size_t usable = round_up(bytes, page), stride = usable + page;
  void* base =
      mmap(nullptr, stride * count, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) return false;
  base_ = static_cast<unsigned char*>(base);
  count_ = count;
  stride_ = stride;
  for (unsigned i = 0; i < count; ++i) {
    if (mprotect(base_ + i * stride + page, usable, PROT_READ | PROT_WRITE)) {
      release();
      return false;
    }
  }
  bytes_ = usable;
  return true;
}

Stack Stacks::operator[](unsigned index) const {
  return Stack{base_ + index * stride_ + (stride_ - bytes_), bytes_};
}

}  // namespace mfa::exec
