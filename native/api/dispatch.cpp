// SPDX-License-Identifier: MIT
// mfa_dispatch: bindings checked against what the pipeline declares.
#include <cinttypes>

#include "api/operands.h"
#include "api/structs.h"

namespace mfa::api {

namespace {

constexpr uint64_t max_bytes = 4096;  // Metal's own limit for setBytes
constexpr uint32_t max_slots = 31;

const host::Argument* argument_at(const host::Pipeline& pipeline, uint32_t kind, uint32_t slot) {
  for (const host::Argument& argument : pipeline.arguments)
    if (argument.kind == kind && argument.slot == slot) return &argument;
  return nullptr;
}

Status take_buffer(const mfa_binding& given, const char* name, const host::Pipeline& pipeline,
                   host::Binding& binding, std::shared_ptr<host::Buffer>& kept) {
  auto found = use(given.buffer, name, ".buffer");
  if (!found.ok()) return found.status();
  const host::Buffer& buffer = **found;
  if (buffer.device != pipeline.device)
    return failure(Code::invalid_argument,
                   "%s.buffer belongs to device \"%s\", the pipeline to \"%s\"", name,
                   buffer.device->name.c_str(), pipeline.device->name.c_str());
  if (given.offset > buffer.length)
    return failure(Code::out_of_bounds,
                   "%s.offset is %" PRIu64 ", its buffer has %" PRIu64 " bytes", name, given.offset,
                   buffer.length);
  const host::Argument* argument = argument_at(pipeline, MFA_ARGUMENT_BUFFER, given.slot);
  if (argument && argument->used && argument->access != MFA_ACCESS_READ && buffer.read_only)
    return failure(Code::read_only,
                   "%s is bound to argument %s, which \"%s\" writes, but was wrapped as read-only",
                   name, argument->name.c_str(), pipeline.function.c_str());
  kept = std::move(*found);
  binding.buffer = kept.get();
  binding.offset = given.offset;
  return {};
}

Status take(const mfa_binding& given, const char* name, const host::Pipeline& pipeline,
            host::Binding& binding, std::shared_ptr<host::Buffer>& kept) {
  binding.slot = given.slot;
  if (given.slot >= max_slots)
    return failure(Code::invalid_argument, "%s.slot is %u, expected less than %u", name, given.slot,
                   max_slots);
  switch (given.kind) {
    case MFA_BINDING_BUFFER:
      binding.kind = host::Binding::Kind::buffer;
      return take_buffer(given, name, pipeline, binding, kept);
    case MFA_BINDING_BYTES:
      if (given.length == 0 || given.length > max_bytes)
        return failure(Code::invalid_argument, "%s.length is %" PRIu64 ", expected 1 to %" PRIu64,
                       name, given.length, max_bytes);
      MFA_TRY(require(given.bytes, (std::string(name) + ".bytes").c_str()));
      binding.kind = host::Binding::Kind::bytes;
      binding.bytes = given.bytes;
      binding.length = given.length;
      return {};
    case MFA_BINDING_THREADGROUP:
      if (given.length == 0)
        return failure(Code::invalid_argument, "%s.length is 0, expected at least 1", name);
      binding.kind = host::Binding::Kind::threadgroup;
      binding.length = (given.length + 15) / 16 * 16;  // what Metal asks for
      return {};
  }
  return failure(Code::invalid_argument, "%s.kind is %u, expected MFA_BINDING_*", name,
                 static_cast<unsigned>(given.kind));
}

bool binds(const host::Binding& binding, const host::Argument& argument) {
  bool memory = binding.kind == host::Binding::Kind::threadgroup;
  return binding.slot == argument.slot && memory == (argument.kind == MFA_ARGUMENT_THREADGROUP);
}

/// Every argument that is used has to be bound, and to enough.
Status check_arguments(const host::Pipeline& pipeline, const std::vector<host::Binding>& bindings) {
  uint64_t memory = pipeline.static_threadgroup_memory;
  for (const host::Argument& argument : pipeline.arguments) {
    if (!argument.used) continue;
    const char* function = pipeline.function.c_str();
    if (argument.kind != MFA_ARGUMENT_BUFFER && argument.kind != MFA_ARGUMENT_THREADGROUP)
      return failure(Code::unsupported, "argument %s of \"%s\" is neither buffer nor memory",
                     argument.name.c_str(), function);
    const host::Binding* bound = nullptr;
    for (const host::Binding& binding : bindings)
      if (binds(binding, argument)) bound = &binding;
    bool is_buffer = argument.kind == MFA_ARGUMENT_BUFFER;
    if (!bound)
      return failure(Code::invalid_argument, "argument %s of \"%s\" ([[%s(%u)]]) is not bound",
                     argument.name.c_str(), function, is_buffer ? "buffer" : "threadgroup",
                     argument.slot);
    if (!is_buffer) memory += bound->length;
    uint64_t available = bound->kind == host::Binding::Kind::bytes ? bound->length
                         : is_buffer ? bound->buffer->length - bound->offset
                                     : bound->length;
    // A read-only argument smaller than its type cannot be read even once.
    if (is_buffer && argument.access == MFA_ACCESS_READ && available < argument.type_size)
      return failure(Code::out_of_bounds,
                     "argument %s of \"%s\" needs at least %" PRIu64 " bytes, %" PRIu64
                     " are bound",
                     argument.name.c_str(), function, argument.type_size, available);
  }
  if (memory > pipeline.device->max_threadgroup_memory)
    return failure(Code::invalid_argument,
                   "\"%s\" would use %" PRIu64
                   " bytes of threadgroup memory, device \"%s\" has %" PRIu64,
                   pipeline.function.c_str(), memory, pipeline.device->name.c_str(),
                   pipeline.device->max_threadgroup_memory);
  return {};
}

Status take_grid(const mfa_dispatch_desc& desc, const host::Pipeline& pipeline, host::Grid& grid) {
  bool chosen = !desc.threads_per_threadgroup[0] && !desc.threads_per_threadgroup[1] &&
                !desc.threads_per_threadgroup[2];
  if (chosen && !desc.grid_in_threads)
    return failure(Code::invalid_argument,
                   "threads_per_threadgroup is 0, which needs a grid in threads");
  for (int i = 0; i < 3; ++i) {
    grid.size[i] = i == 0 ? desc.grid[i] : or_default(desc.grid[i], 1);
    grid.threads_per_threadgroup[i] = or_default(desc.threads_per_threadgroup[i], 1);
    if (grid.size[i] > UINT32_MAX)
      return failure(Code::invalid_argument, "grid[%d] is %" PRIu64 ", expected at most %u", i,
                     grid.size[i], UINT32_MAX);
  }
  grid.in_threads = desc.grid_in_threads;
  if (chosen) {
    // One row of threads for a line, a few for a plane: neighbours in x read neighbouring memory.
    bool line = grid.size[1] == 1 && grid.size[2] == 1;
    uint64_t width = line ? std::min<uint64_t>(256, pipeline.max_threads) : pipeline.simd_width;
    grid.threads_per_threadgroup[0] = width;
    if (!line)
      grid.threads_per_threadgroup[1] = std::max<uint64_t>(
          1, std::min<uint64_t>({8, grid.size[1], pipeline.max_threads / width}));
  }
  const uint64_t* threads = grid.threads_per_threadgroup;
  uint64_t limit = pipeline.max_threads;
  if (threads[0] > limit || threads[1] > limit || threads[2] > limit ||
      threads[0] * threads[1] * threads[2] > limit)
    return failure(Code::invalid_argument,
                   "threads_per_threadgroup is %" PRIu64 " x %" PRIu64 " x %" PRIu64
                   ", \"%s\" takes at most %" PRIu64 " threads",
                   threads[0], threads[1], threads[2], pipeline.function.c_str(), limit);
  return {};
}

/// What is reached by pointers in other memory nobody knows.
void announce(host::Commands& commands, const host::Pipeline& pipeline,
              const std::vector<host::Binding>& bindings) {
  if (!commands.concurrent()) return;
  std::vector<host::Use> uses;
  for (const host::Binding& binding : bindings) {
    if (binding.kind != host::Binding::Kind::buffer) continue;
    const host::Argument* argument = argument_at(pipeline, MFA_ARGUMENT_BUFFER, binding.slot);
    if (argument && !argument->used) continue;
    const host::Buffer& buffer = *binding.buffer;
    bool write = !argument || argument->access != MFA_ACCESS_READ;
    uses.push_back({buffer.address + binding.offset, buffer.address + buffer.length, write});
  }
  commands.will_use(uses.data(), uses.size());
}

Status dispatch(mfa_commands commands, const mfa_dispatch_desc* given) {
  Target target("mfa_dispatch");
  MFA_TRY(target.open(commands));
  mfa_dispatch_desc desc;
  MFA_TRY(read_struct(given, desc, sizeof(mfa_dispatch_desc), "desc", "mfa_dispatch_desc"));
  auto found = use(desc.pipeline, "desc->pipeline");
  if (!found.ok()) return found.status();
  const host::Pipeline& pipeline = *(*found)->host;
  if (desc.binding_count != 0) MFA_TRY(require(desc.bindings, "desc->bindings"));

  std::vector<host::Binding> bindings(desc.binding_count);
  std::vector<std::shared_ptr<host::Buffer>> kept(desc.binding_count);  // while they are encoded
  for (size_t i = 0; i < desc.binding_count; ++i)
    MFA_TRY(take(desc.bindings[i], ("bindings[" + std::to_string(i) + "]").c_str(), pipeline,
                 bindings[i], kept[i]));
  MFA_TRY(check_arguments(pipeline, bindings));
  host::Grid grid;
  MFA_TRY(take_grid(desc, pipeline, grid));
  if (grid.size[0] == 0) return {};

  auto on = target.on(pipeline.device);
  if (!on.ok()) return on.status();
  MFA_TRY((*on)->check(pipeline.metal.get(), bindings.data(), bindings.size(), grid));
  announce(**on, pipeline, bindings);
  (*on)->dispatch(pipeline.metal.get(), bindings.data(), bindings.size(), grid);
  (*on)->count_operation();
  return target.close();
}

}  // namespace

}  // namespace mfa::api

mfa_status mfa_dispatch(mfa_commands commands, const mfa_dispatch_desc* desc) {
  return mfa::api::call("mfa_dispatch", [&] { return mfa::api::dispatch(commands, desc); });
}
