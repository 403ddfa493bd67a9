// SPDX-License-Identifier: MIT
// Bindings and a grid -> "can run", or the reason why not.
#include "metal/bindings.h"

#include <algorithm>

namespace mfa::metal {
namespace {

// Threadgroup arguments start on a cache line of their own.
constexpr size_t threadgroup_alignment = 64;

size_t round_up(size_t value, size_t unit) { return (value + unit - 1) / unit * unit; }

std::string where(const Kernel& kernel, const Kernel::Slot& slot, const char* kind) {
  return "kernel '" + kernel.name() + "', argument '" + slot.argument->name + "' at " + kind +
         " index " + std::to_string(slot.index) + ": ";
}

std::string expected(const air::Argument& argument) {
  if (argument.buffer_size) {
    return std::to_string(argument.buffer_size) + " bytes (" + argument.type_name + ")";
  }
  return argument.type_name.empty() ? "a buffer" : "a buffer of " + argument.type_name;
}

std::string triple(const uint64_t size[3]) {
  return std::to_string(size[0]) + " x " + std::to_string(size[1]) + " x " +
         std::to_string(size[2]);
}

size_t threadgroup_bytes(const Kernel& kernel, const Bindings& bindings) {
  size_t bytes = kernel.static_threadgroup_bytes();
  for (const Kernel::Slot& slot : kernel.threadgroups()) {
    bytes += bindings.threadgroup_lengths[slot.index];
  }
  return bytes;
}

Result<void> check_buffer(const Kernel& kernel, const Kernel::Slot& slot,
                          const Bindings::Buffer& buffer) {
  const air::Argument& argument = *slot.argument;
  if (argument.table && buffer.data && buffer.functions != &kernel) {
    return Error{where(kernel, slot, "buffer") +
                 "expected a visible function table made by this kernel's pipeline state"};
  }
  if (!buffer.data) {
    return Error{where(kernel, slot, "buffer") + "nothing is bound; expected " +
                 expected(argument)};
  }
  if (buffer.offset > buffer.length) {
    return Error{where(kernel, slot, "buffer") + "offset " + std::to_string(buffer.offset) +
                 " is beyond the buffer's " + std::to_string(buffer.length) + " bytes"};
  }
  const size_t left = buffer.length - buffer.offset;
  if (argument.buffer_size > left) {
    return Error{where(kernel, slot, "buffer") + std::to_string(left) +
                 " bytes are bound; expected " + expected(argument)};
  }
  const auto address = reinterpret_cast<uintptr_t>(buffer.address());
  const uint32_t align = std::min(argument.type_align, air::kAddressAlign);
  if (align > 1 && address % align) {
    return Error{where(kernel, slot, "buffer") + "offset " + std::to_string(buffer.offset) +
                 " gives an address that is not a multiple of " + std::to_string(align) +
                 ", the alignment of " + argument.type_name};
  }
  return {};
}

}  // namespace

Result<void> check_bindings(const Kernel& kernel, const Bindings& bindings) {
  for (const Kernel::Slot& slot : kernel.buffers()) {
    auto checked = check_buffer(kernel, slot, bindings.buffers[slot.index]);
    if (!checked) return checked;
  }
  for (const Kernel::Slot& slot : kernel.threadgroups()) {
    if (bindings.threadgroup_lengths[slot.index] == 0) {
      return Error{where(kernel, slot, "threadgroup") +
                   "no threadgroup memory length is set; expected a length for " +
                   slot.argument->type_name};
    }
  }
  const size_t bytes = threadgroup_bytes(kernel, bindings);
  if (bytes > max_threadgroup_bytes) {
    return Error{"kernel '" + kernel.name() + "': " + std::to_string(bytes) +
                 " bytes of threadgroup memory; expected at most " +
                 std::to_string(max_threadgroup_bytes)};
  }
  return {};
}

Result<void> check_grid(const Kernel& kernel, const Grid& grid) {
  auto name = [&kernel] { return "kernel '" + kernel.name() + "': "; };
  uint64_t threads = 1;
  for (uint64_t extent : grid.group) {
    threads =
        extent > MFA_MAX_THREADS ? UINT32_MAX : std::min<uint64_t>(threads * extent, UINT32_MAX);
  }
  if (threads == 0 || threads > kernel.max_threads()) {
    return Error{name() + triple(grid.group) + " threads per threadgroup; expected 1 to " +
                 std::to_string(kernel.max_threads()) + " in all"};
  }
  if (kernel.whole_simdgroups() && threads % MFA_SIMD_WIDTH) {
    return Error{name() + triple(grid.group) +
                 " threads per threadgroup; the pipeline promised multiples of 32"};
  }
  for (int i = 0; i < 3; ++i) {
    const uint64_t per_unit = grid.threads ? 1 : grid.group[i];
    if (grid.size[i] > UINT32_MAX || grid.size[i] * per_unit > UINT32_MAX) {
      return Error{name() + "a grid of " + triple(grid.size) +
                   (grid.threads ? " threads" : " threadgroups") +
                   "; expected fewer than 2^32 threads along each axis"};
    }
  }
  return {};
}

uint32_t place_threadgroup_memory(const Kernel& kernel, const Bindings& bindings,
                                  uint32_t offsets[MFA_MAX_BUFFERS]) {
  size_t end = kernel.static_threadgroup_bytes();
  for (const Kernel::Slot& slot : kernel.threadgroups()) {
    end = round_up(end, threadgroup_alignment);
    offsets[slot.index] = static_cast<uint32_t>(end);
    end += bindings.threadgroup_lengths[slot.index];
  }
  return static_cast<uint32_t>(end);
}

}  // namespace mfa::metal
