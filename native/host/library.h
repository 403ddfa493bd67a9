// SPDX-License-Identifier: MIT
// Any metallib or Metal source: its functions, what they declare, pipelines made of them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "host/device.h"

namespace mfa::host {

/// An argument that a caller binds. Numbers are Metal's: MTLBindingType, MTLBindingAccess,
/// MTLDataType.
struct Argument {
  std::string name;
  uint32_t kind = 0, slot = 0, access = 0, type = 0;
  uint64_t type_size = 0, type_alignment = 0;
  bool used = true;
};

struct FunctionConstant {
  std::string name;
  uint32_t index = 0, type = 0;
  bool required = false;
};

struct Function {
  std::string name;
  std::vector<Argument> arguments;
  std::vector<FunctionConstant> constants;
  bool is_kernel = false, has_arguments = false;
  uint16_t versions[4] = {};  // AIR major, minor; language major, minor
};

/// The value of one function constant; `name` empty: by index. Bytes are little-endian.
struct ConstantValue {
  std::string name;
  uint32_t index = 0;
  uint32_t type = 0;
  std::string bytes;
};

/// Bytes of a scalar or vector MTLDataType that a function constant can have; 0 for others.
size_t constant_size(uint32_t type);
/// "float4" for MTLDataTypeFloat4; "type 7" where there is no name.
std::string type_name(uint32_t type);

struct Pipeline {
  std::shared_ptr<Device> device;
  Object metal;
  std::string function;
  uint32_t max_threads = 0, simd_width = 0;
  uint64_t static_threadgroup_memory = 0, code_bytes = 0;
  std::vector<Argument> arguments;
};

class Library : public std::enable_shared_from_this<Library> {
 public:
  /// The bytes are copied.
  static Outcome<std::shared_ptr<Library>> from_bytes(std::shared_ptr<Device> device,
                                                      const void* bytes, size_t length);
  static Outcome<std::shared_ptr<Library>> from_file(std::shared_ptr<Device> device,
                                                     const std::string& path);
  static Outcome<std::shared_ptr<Library>> from_source(std::shared_ptr<Device> device,
                                                       const std::string& source,
                                                       bool precise_math);

  /// Of several MTLLibraries, no two of which have a function of the same name.
  Library(std::shared_ptr<Device> device, std::vector<Object> parts);

  const std::vector<std::string>& names() const { return names_; }
  /// The pointer stays valid as long as the library.
  Outcome<const Function*> function(const std::string& name);
  Outcome<std::shared_ptr<Pipeline>> pipeline(const std::string& function,
                                              const std::vector<ConstantValue>& constants);

  /// The MTLLibrary that has the function; any where none has it.
  void* part(const std::string& function) const;

  const std::shared_ptr<Device> device;

 private:
  Status unknown(const std::string& name) const;

  std::vector<Object> parts_;
  std::vector<std::string> names_;
  std::map<std::string, void*> part_of_;
  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<Function>> functions_;
};

}  // namespace mfa::host
