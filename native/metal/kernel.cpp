// SPDX-License-Identifier: MIT
// A function of a library -> a kernel with the list of slots it needs.
#include "metal/kernel.h"

#include <algorithm>
#include <utility>

namespace mfa::metal {
namespace {

const char* kind_name(air::Argument::Kind kind) {
  switch (kind) {
    case air::Argument::Kind::texture:
      return "texture";
    case air::Argument::Kind::sampler:
      return "sampler";
    case air::Argument::Kind::function_table:
      return "function table";
    default:
      return "argument";
  }
}

}  // namespace

Result<std::shared_ptr<const Kernel>> Kernel::make(std::shared_ptr<const air::Metallib> library,
                                                   const std::string& function,
                                                   const air::ConstantValues& values,
                                                   const KernelOptions& options) {
  jit::Options jit_options;
  jit_options.path = options.path;
  auto pipeline = jit::make_pipeline(std::move(library), function, values, jit_options);
  if (!pipeline) return pipeline.take_error();

  std::shared_ptr<Kernel> kernel(new Kernel(std::move(*pipeline)));
  for (const air::Argument& argument : kernel->reflection().arguments) {
    if (!argument.active || argument.unused) continue;
    switch (argument.kind) {
      case air::Argument::Kind::builtin:
        continue;
      case air::Argument::Kind::buffer:
      case air::Argument::Kind::threadgroup:
        break;
      default:
        return Error{"kernel '" + function + "', argument '" + argument.name + "' is a " +
                     kind_name(argument.kind) + ": the CPU device has none"};
    }
    if (argument.slot >= MFA_MAX_BUFFERS) {
      return Error{"kernel '" + function + "', argument '" + argument.name + "': index " +
                   std::to_string(argument.slot) + " is beyond the last one, 30"};
    }
    auto& slots =
        argument.kind == air::Argument::Kind::buffer ? kernel->buffers_ : kernel->threadgroups_;
    slots.push_back({argument.slot, &argument});
  }

  const uint32_t declared = kernel->reflection().max_total_threads;
  if (declared) kernel->max_threads_ = std::min<uint32_t>(declared, MFA_MAX_THREADS);
  if (options.max_threads) {
    kernel->max_threads_ = std::min(kernel->max_threads_, options.max_threads);
  }
  kernel->whole_simdgroups_ = options.whole_simdgroups;
  if (kernel->static_threadgroup_bytes() > max_threadgroup_bytes) {
    return Error{"kernel '" + function + "' declares " +
                 std::to_string(kernel->static_threadgroup_bytes()) +
                 " bytes of threadgroup memory; the device has " +
                 std::to_string(max_threadgroup_bytes)};
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
