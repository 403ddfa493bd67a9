// SPDX-License-Identifier: MIT
// A function of a library -> a kernel with the list of slots it needs.
#include "metal/kernel.h"

#include <algorithm>
#include <utility>

#include "base/trace.h"
#include "metal/bitcode_check.h"

namespace mfa::metal {

Result<std::shared_ptr<const Kernel>> Kernel::make(std::shared_ptr<const air::Metallib> library,
                                                   const std::string& function,
                                                   const air::ConstantValues& values,
                                                   const KernelOptions& options) {
  const trace::Span compiling("compile", function);
  if (const air::FunctionRecord* record = library->find(function)) {
    if (auto checked = check_bitcode(*record); !checked) return checked.take_error();
  }
  for (const air::LinkedFunction& function : options.linked) {
    if (auto checked = check_bitcode(*function.record); !checked) return checked.take_error();
  }
  jit::Options jit_options;
  jit_options.path = options.path;
  jit_options.linked = options.linked;
  if (options.whole_simdgroups) jit_options.first = exec::Shape::whole;
  auto pipeline = jit::make_pipeline(std::move(library), function, values, jit_options);
  if (!pipeline) return pipeline.take_error();

  std::shared_ptr<Kernel> kernel(new Kernel(std::move(*pipeline)));
  // The loader has refused textures and the like, and indices beyond the last one.
  for (const air::Argument& argument : kernel->reflection().arguments) {
    if (!argument.active || argument.unused) continue;
    const Slot slot{argument.slot, &argument};
    if (argument.kind == air::Argument::Kind::buffer) kernel->buffers_.push_back(slot);
    if (argument.kind == air::Argument::Kind::threadgroup) kernel->threadgroups_.push_back(slot);
  }

  const uint32_t declared = kernel->reflection().max_total_threads;
  if (declared) kernel->max_threads_ = std::min<uint32_t>(declared, MFA_MAX_THREADS);
  if (options.max_threads) {
    kernel->max_threads_ = std::min(kernel->max_threads_, options.max_threads);
  }
  kernel->whole_simdgroups_ = options.whole_simdgroups;
  kernel->validated_ = options.path == jit::Path::validated;
  if (kernel->static_threadgroup_bytes() > max_threadgroup_bytes) {
    return Error{
        "kernel '" + function + "' declares " + std::to_string(kernel->static_threadgroup_bytes()) +
        " bytes of threadgroup memory; the device has " + std::to_string(max_threadgroup_bytes)};
  }
  return std::shared_ptr<const Kernel>(std::move(kernel));
}

Result<const exec::Code*> Kernel::code(exec::Shape shape) const {
  auto& known = code_[static_cast<size_t>(shape)];
  if (const exec::Code* code = known.load(std::memory_order_acquire)) return code;
  auto made = pipeline_->code(shape);
  if (made) known.store(*made, std::memory_order_release);
  return made;
}

}  // namespace mfa::metal
