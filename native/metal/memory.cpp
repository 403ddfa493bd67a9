// SPDX-License-Identifier: MIT
// Lengths -> zero-filled pages, on huge pages where that pays.
#include "metal/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <utility>

namespace mfa::metal {
namespace {

// From here on a buffer is worth a 2 MiB alignment: a matrix product walks it with few TLB misses.
constexpr size_t huge_page = size_t{2} << 20;
constexpr size_t huge_threshold = 2 * huge_page;

size_t round_up(size_t value, size_t unit) { return (value + unit - 1) / unit * unit; }

}  // namespace

std::shared_ptr<Memory> Memory::allocate(size_t length, MemoryCounter counter) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const bool huge = length >= huge_threshold;
  if (length == 0 || length > SIZE_MAX / 2) return nullptr;
  const size_t mapped = round_up(length, page) + (huge ? huge_page : 0);
  void* mapping = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) return nullptr;

  std::shared_ptr<Memory> memory(new Memory);
  memory->mapping_ = mapping;
  memory->mapped_ = mapped;
  memory->length_ = length;
  memory->data_ = static_cast<unsigned char*>(mapping);
  if (huge) {
    memory->data_ =
        reinterpret_cast<unsigned char*>(round_up(reinterpret_cast<uintptr_t>(mapping), huge_page));
#ifdef MADV_HUGEPAGE
    madvise(memory->data_, round_up(length, page), MADV_HUGEPAGE);
#endif
  }
  memory->counter_ = std::move(counter);
  if (memory->counter_) *memory->counter_ += length;
  return memory;
}

std::shared_ptr<Memory> Memory::wrap(void* pointer, size_t length, Deallocator deallocator) {
  std::shared_ptr<Memory> memory(new Memory);
  memory->data_ = static_cast<unsigned char*>(pointer);
  memory->length_ = length;
  memory->deallocator_ = std::move(deallocator);
  return memory;
}

Memory::~Memory() {
  if (counter_) *counter_ -= length_;
  if (mapping_) munmap(mapping_, mapped_);
  if (deallocator_) deallocator_(data_, length_);
}

}  // namespace mfa::metal
