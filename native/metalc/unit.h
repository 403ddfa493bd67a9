// SPDX-License-Identifier: MIT
// What the front end hands to the back end: one LLVM module and the description of its kernels.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"

namespace mfa::metalc {

/// A member of a struct that a kernel argument points at.
struct Member {
  uint32_t offset = 0, size = 0, array_length = 0;  // array_length 0: not an array
  std::string type, name;
  std::vector<Member> members;  // of a nested struct
};

struct Argument {
  bool builtin = false;
  std::string kind;            // "air.buffer", or "air.thread_position_in_grid" and so on
  std::string name, type;      // as MSL spells them
  std::string predicate;       // symbol of the function constant in [[function_constant(x)]]
  std::string predicate_name;  // the same as MSL spells it
  // Buffers only.
  unsigned address_space = 0;
  uint32_t slot = 0;
  bool writable = false;
  bool sized = false;            // a reference: `size` bytes are there for sure
  uint32_t size = 0, align = 0;  // of the pointee, 0 for void
  std::vector<Member> members;
};

struct Kernel {
  std::string symbol;  // the function in the module
  std::string name;    // the function in the library
  std::vector<Argument> arguments;
  uint32_t max_threads = 0;
  bool explicit_instantiation = false;
};

struct FunctionConstant {
  std::string symbol;  // the variable in the module
  std::string name;    // as MSL spells it
  std::string type;    // "bool", "uint", "float2", ...
  std::string code;    // Itanium code of the scalar type
  uint32_t index = 0;
};

struct Unit {
  std::string file;  // name of the source, for the module's constructor
  std::unique_ptr<llvm::LLVMContext> context;
  std::unique_ptr<llvm::Module> module;
  std::vector<Kernel> kernels;
  std::vector<FunctionConstant> constants;
  std::map<std::string, std::string> locations;  // "file:line:column" of the functions by symbol
  bool fast_math = true;
};

}  // namespace mfa::metalc
