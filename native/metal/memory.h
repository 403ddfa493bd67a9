// SPDX-License-Identifier: MIT
// The bytes behind an MTLBuffer. Shared: a command buffer keeps them until it has ended.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

namespace mfa::metal {

/// Bytes in all live buffers, for -currentAllocatedSize.
using MemoryCounter = std::shared_ptr<std::atomic<size_t>>;

class Memory {
 public:
  using Deallocator = std::function<void(void* pointer, size_t length)>;

  /// Zero-filled and page aligned. Null if there is not that much memory.
  static std::shared_ptr<Memory> allocate(size_t length, MemoryCounter counter);
  /// Memory of the caller; `deallocator` may be empty.
  static std::shared_ptr<Memory> wrap(void* pointer, size_t length, Deallocator deallocator);

  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory();

  unsigned char* data() const { return data_; }
  size_t length() const { return length_; }
  /// The command list that kept this memory last; lets it keep a buffer once instead of per use.
  mutable std::atomic<uint64_t> last_keeper{0};

 private:
  Memory() = default;

  unsigned char* data_ = nullptr;
  size_t length_ = 0;
  void* mapping_ = nullptr;  // null for memory of the caller
  size_t mapped_ = 0;
  MemoryCounter counter_;
  Deallocator deallocator_;
};

}  // namespace mfa::metal
