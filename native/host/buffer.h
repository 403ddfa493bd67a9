// SPDX-License-Identifier: MIT
// Memory that a device works on: its own, or the caller's without a copy.
#pragma once

#include <cstdint>
#include <memory>

#include "host/device.h"

namespace mfa::host {

enum class Storage { shared = 1, private_ = 2 };

/// Called once, when neither the buffer nor any command needs the caller's memory any more.
using Deallocator = void (*)(void* context, void* memory, size_t length);

struct Buffer {
  std::shared_ptr<Device> device;
  Object metal;
  uint64_t base = 0;  // where byte 0 lies in `metal`: a Metal device wraps whole pages
  uint64_t length = 0;
  void* contents = nullptr;  // null in private storage
  uint64_t address = 0;      // for telling whether two buffers share memory
  Storage storage = Storage::shared;
  bool is_copy = false, read_only = false;

  static Outcome<std::shared_ptr<Buffer>> make(std::shared_ptr<Device> device, uint64_t length,
                                               Storage storage);
  static Outcome<std::shared_ptr<Buffer>> wrap(std::shared_ptr<Device> device, void* memory,
                                               uint64_t length, bool read_only,
                                               Deallocator deallocate, void* context);
  static Outcome<std::shared_ptr<Buffer>> wrap_metal(std::shared_ptr<Device> device, void* metal);

  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer();

 private:
  Deallocator deallocate_ = nullptr;  // of memory that was copied; else Metal calls it
  void* context_ = nullptr;
  void* memory_ = nullptr;
};

/// Where an operand begins.
struct Operand {
  std::shared_ptr<Buffer> buffer;
  uint64_t offset = 0;

  explicit operator bool() const { return buffer != nullptr; }
};

}  // namespace mfa::host
