// SPDX-License-Identifier: MIT
// LLVM IR text of a kernel `k`, buffers and a grid -> the kernel has run on one of the two paths.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "jit/pipeline.h"

using Bytes = std::vector<uint8_t>;

template <class T>
Bytes bytes_of(const std::vector<T>& values) {
  auto* data = reinterpret_cast<const uint8_t*>(values.data());
  return Bytes(data, data + values.size() * sizeof(T));
}

template <class T>
std::vector<T> values_of(const Bytes& bytes) {
  auto* data = reinterpret_cast<const T*>(bytes.data());
  return std::vector<T>(data, data + bytes.size() / sizeof(T));
}

struct Grid {
  std::array<uint32_t, 3> threads;  // of the whole grid; edge groups are smaller
  std::array<uint32_t, 3> group;
  uint32_t threadgroup_bytes = 0;  // [[threadgroup(0)]]
};

using mfa::jit::Path;
inline constexpr Path both_paths[] = {Path::reference, Path::vector};
inline const char* name_of(Path path) { return path == Path::vector ? "vector" : "reference"; }

/// Buffers by slot. Returns the error of a refusal, else nothing. The visible functions are linked.
std::string run_kernel(Path path, const std::string& text, std::vector<Bytes>& buffers,
                       const Grid& grid, const std::vector<std::string>& visible = {});

/// One parameter of a kernel as an argument node of AIR.md 2.5.
std::string buffer_argument(int index, int slot, int address_space);
/// Of a visible function table.
std::string table_argument(int index, int slot);
std::string builtin_argument(int index, const std::string& name);
/// The metadata that makes @k a kernel with these arguments.
std::string kernel_metadata(const std::vector<std::string>& arguments);
