// SPDX-License-Identifier: MIT
// What a compute function declares: arguments with their slots, function constants, limits.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mfa::air {

/// What is assumed of a buffer's address at most: the alignment that malloc gives, and NumPy with
/// it. MSL aligns ulong4 to 32, which no instruction of a CPU gains from.
constexpr uint32_t kAddressAlign = 16;

struct Argument {
  enum class Kind : uint8_t { buffer, threadgroup, texture, sampler, function_table, builtin };
  enum class Access : uint8_t { read, write, read_write };
  Kind kind = Kind::buffer;
  Access access = Access::read_write;
  unsigned parameter = 0;      // index of the LLVM parameter
  unsigned slot = 0;           // air.location_index (buffer or threadgroup index)
  unsigned address_space = 0;  // 1 device, 2 constant, 3 threadgroup
  uint32_t type_size = 0, type_align = 0;
  uint32_t buffer_size = 0;  // references and sized arrays, else 0
  bool unused = false;       // marked air.arg_unused
  bool active = true;        // false: its [[function_constant]] predicate is false
  bool indirect = false;     // an argument buffer
  bool table = false;        // of visible functions; a buffer where functions are linked
  std::string name, type_name;
  std::string builtin;    // "air.thread_position_in_grid" and so on
  std::string predicate;  // name of the function constant that guards it, or empty
};

struct Constant {
  std::string name, type;  // type as MSL spells it: "bool", "uint", "float", ...
  uint32_t index = 0;
  bool required = true;
};

struct Reflection {
  std::string name;
  std::vector<Argument> arguments;
  std::vector<Constant> constants;
  uint32_t max_total_threads = 0;  // [[max_total_threads_per_threadgroup]], 0 if absent
  uint32_t static_threadgroup_bytes =
      0;  // sum of the threadgroup globals, each aligned; known after specialise()
};

}  // namespace mfa::air
