// SPDX-License-Identifier: MIT
// A pipeline's code together with what a dispatch of it has to bind.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "air/reflection.h"
#include "base/result.h"
#include "exec/code.h"
#include "exec/dispatch.h"
#include "jit/pipeline.h"

namespace mfa::metal {

/// Most threadgroup memory one threadgroup may have: what fits an L2 cache beside the operands.
constexpr size_t max_threadgroup_bytes = 256 * 1024;

/// What a pipeline descriptor may ask beyond the function and its constants.
struct KernelOptions {
  jit::Path path = jit::Path::vector;
  uint32_t max_threads = 0;       // 0: whatever the function allows
  bool whole_simdgroups = false;  // the caller promises multiples of 32 threads per threadgroup
  air::LinkedFunctions linked;    // what it may call through a table
};

class Kernel {
 public:
  /// One slot the code reads through: its index and the argument it belongs to.
  struct Slot {
    unsigned index;
    const air::Argument* argument;
  };

  static Result<std::shared_ptr<const Kernel>> make(std::shared_ptr<const air::Metallib> library,
                                                    const std::string& function,
                                                    const air::ConstantValues& values,
                                                    const KernelOptions& options);

  const std::string& name() const { return pipeline_->reflection().name; }
  const air::Reflection& reflection() const { return pipeline_->reflection(); }
  const std::vector<Slot>& buffers() const { return buffers_; }
  const std::vector<Slot>& threadgroups() const { return threadgroups_; }
  uint32_t max_threads() const { return max_threads_; }
  uint32_t static_threadgroup_bytes() const { return reflection().static_threadgroup_bytes; }
  bool whole_simdgroups() const { return whole_simdgroups_; }
  /// Whether its code checks accesses: exec/validation.h.
  bool validated() const { return validated_; }
  /// Bytes of machine code and its constants, of the variants compiled so far.
  size_t code_bytes() const { return pipeline_->code_bytes(); }

  /// Compiles the variant on first use; afterwards one load.
  Result<const exec::Code*> code(exec::Shape shape) const;

 private:
  explicit Kernel(std::shared_ptr<jit::Pipeline> pipeline) : pipeline_(std::move(pipeline)) {}

  std::shared_ptr<jit::Pipeline> pipeline_;
  std::vector<Slot> buffers_, threadgroups_;
  uint32_t max_threads_ = MFA_MAX_THREADS;
  bool whole_simdgroups_ = false, validated_ = false;
  mutable std::atomic<const exec::Code*> code_[3]{};
};

}  // namespace mfa::metal
