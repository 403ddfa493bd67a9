// SPDX-License-Identifier: MIT
// A function record and constant values -> machine code, kept per thread-shape variant.
#pragma once

#include <memory>
#include <string>

#include "air/reflection.h"
#include "air/specialize.h"
#include "base/result.h"
#include "exec/code.h"

namespace mfa::jit {

enum class Path : uint8_t {
  vector,     // 32 lanes at once
  reference,  // one lane at a time
  validated   // the same, and accesses are checked: exec/validation.h
};

struct Options {
  Path path = Path::vector;
  exec::Shape first = exec::Shape::linear;  // the variant that is compiled at once
  air::LinkedFunctions linked;              // what the kernel may call through a table
};

/// Thread-safe; shared by every dispatch that uses it. Keeps its Metallib alive.
class Pipeline {
 public:
  virtual ~Pipeline() = default;
  virtual const air::Reflection& reflection() const = 0;
  /// Compiles the variant on first use. The pointer stays valid as long as the pipeline.
  virtual Result<const exec::Code*> code(exec::Shape shape) = 0;
  /// Bytes of machine code made so far.
  virtual size_t code_bytes() const = 0;
};

/// Specialises, vectorises and compiles the first variant. Thread-safe: many pipelines may be
/// made at once.
Result<std::shared_ptr<Pipeline>> make_pipeline(std::shared_ptr<const air::Metallib> library,
                                                const std::string& function,
                                                const air::ConstantValues& values,
                                                const Options& options);

/// Name of the CPU and the features code is generated for, e.g. "znver5 avx512bf16 ...".
std::string target_description();
/// Whether code is generated for a CPU with this feature, by LLVM's name of it: "avx512f".
bool target_has(const char* feature);

}  // namespace mfa::jit
