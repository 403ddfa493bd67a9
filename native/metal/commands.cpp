// SPDX-License-Identifier: MIT
// Calls of an encoder -> records -> dispatches of the executor.
#include "metal/commands.h"

#include <atomic>
#include <cstring>
#include <new>
#include <utility>

#include "exec/dispatch.h"

namespace mfa::metal {
namespace {

// One chunk holds some fifty dispatches; big copies of -setBytes: get a chunk of their own.
constexpr size_t chunk_bytes = 16 * 1024;

std::atomic<uint64_t> next_id{1};

}  // namespace

struct Commands::Record {
  enum class Kind : uint8_t { dispatch, indirect, fill, copy, signal, wait };
  Kind kind;
  Record* next = nullptr;

  explicit Record(Kind kind) : kind(kind) {}
};

// Followed by a pointer for each of the kernel's buffer slots and an offset for each of its
// threadgroup slots, in their order; if the kernel is validated each with the lengths behind them.
struct Commands::Dispatch : Record {
  const Kernel* kernel = nullptr;
  uint32_t groups[3] = {}, threads[3] = {}, group[3] = {};
  uint32_t threadgroup_bytes = 0;
  bool uniform = true;

  Dispatch() : Record(Kind::dispatch) {}
  unsigned char** addresses() { return reinterpret_cast<unsigned char**>(this + 1); }
  uint64_t* lengths() {
    return reinterpret_cast<uint64_t*>(addresses() + kernel->buffers().size());
  }
  uint32_t* offsets() {
    return reinterpret_cast<uint32_t*>(lengths() +
                                       (kernel->validated() ? kernel->buffers().size() : 0));
  }
  uint32_t* threadgroup_lengths() { return offsets() + kernel->threadgroups().size(); }

  void set_grid(const Grid& grid);
  exec::Dispatch expand();
  void expect(exec::Validation& validation);
  Result<void> run();
};

struct Commands::Indirect : Record {
  Dispatch* dispatch = nullptr;  // complete but for the grid
  const uint32_t* counts = nullptr;

  Indirect() : Record(Kind::indirect) {}
  Result<void> run() const;
};

struct Commands::Transfer : Record {
  unsigned char* target = nullptr;
  const unsigned char* source = nullptr;
  size_t length = 0;
  uint8_t value = 0;

  Transfer() : Record(Kind::fill) {}

  void run() const {
    if (kind == Kind::fill) {
      memset(target, value, length);
    } else {
      memmove(target, source, length);
    }
  }
};

struct Commands::Signal : Record {
  Event* event = nullptr;
  uint64_t value = 0;

  Signal() : Record(Kind::signal) {}

  void run() const {
    if (kind == Kind::signal) {
      event->signal(value);
    } else {
      event->wait(value);
    }
  }
};

Commands::Commands() : id_(next_id++) {}
Commands::~Commands() = default;

void Commands::keep(const std::shared_ptr<const Memory>& memory) {
  if (memory->last_keeper.exchange(id_, std::memory_order_relaxed) == id_) return;
  kept_.push_back(memory);
}

void Commands::keep(const std::shared_ptr<const Kernel>& kernel) {
  if (kept_.empty() || kept_.back() != kernel) kept_.push_back(kernel);
}

void* Commands::take(size_t bytes, size_t alignment) {
  const size_t padding = -reinterpret_cast<uintptr_t>(free_) & (alignment - 1);
  if (!free_ || padding + bytes > free_bytes_) {
    const size_t size = bytes + alignment > chunk_bytes / 2 ? bytes + alignment : chunk_bytes;
    chunks_.emplace_back(new unsigned char[size]);
    unsigned char* chunk = chunks_.back().get();
    const size_t skip = -reinterpret_cast<uintptr_t>(chunk) & (alignment - 1);
    if (size == chunk_bytes) {
      free_ = chunk + skip + bytes;
      free_bytes_ = size - skip - bytes;
    }
    return chunk + skip;
  }
  unsigned char* taken = free_ + padding;
  free_ = taken + bytes;
  free_bytes_ -= padding + bytes;
  return taken;
}

template <class T>
T* Commands::append(size_t extra_bytes) {
  T* record = new (take(sizeof(T) + extra_bytes, alignof(T))) T;
  (last_ ? last_->next : first_) = record;
  last_ = record;
  return record;
}

unsigned char* Commands::copy_bytes(const void* bytes, size_t length) {
  auto* copy = static_cast<unsigned char*>(take(length ? length : 1, 64));
  memcpy(copy, bytes, length);
  return copy;
}

void Commands::bind(Dispatch& record, const Kernel& kernel, const Bindings& bindings) {
  record.kernel = &kernel;
  unsigned char** address = record.addresses();
  for (const Kernel::Slot& slot : kernel.buffers()) {
    *address++ = bindings.buffers[slot.index].address();
  }
  uint32_t offsets[MFA_MAX_BUFFERS];
  record.threadgroup_bytes = place_threadgroup_memory(kernel, bindings, offsets);
  uint32_t* offset = record.offsets();
  for (const Kernel::Slot& slot : kernel.threadgroups()) *offset++ = offsets[slot.index];
  if (!kernel.validated()) return;
  uint64_t* length = record.lengths();
  for (const Kernel::Slot& slot : kernel.buffers()) {
    const Bindings::Buffer& buffer = bindings.buffers[slot.index];
    *length++ = buffer.length - buffer.offset;
  }
  uint32_t* bytes = record.threadgroup_lengths();
  for (const Kernel::Slot& slot : kernel.threadgroups()) {
    *bytes++ = static_cast<uint32_t>(bindings.threadgroup_lengths[slot.index]);
  }
}

void Commands::Dispatch::set_grid(const Grid& grid) {
  uniform = true;
  for (int i = 0; i < 3; ++i) {
    const auto size = static_cast<uint32_t>(grid.size[i]);
    group[i] = static_cast<uint32_t>(grid.group[i]);
    groups[i] = grid.threads ? size / group[i] + (size % group[i] != 0) : size;
    threads[i] = grid.threads ? size : size * group[i];
    if (threads[i] != groups[i] * group[i]) uniform = false;
  }
}

exec::Dispatch Commands::Dispatch::expand() {
  exec::Dispatch dispatch;
  unsigned char** address = addresses();
  for (const Kernel::Slot& slot : kernel->buffers()) {
    dispatch.launch.buffers[slot.index] = *address++;
  }
  const uint32_t* offset = offsets();
  for (const Kernel::Slot& slot : kernel->threadgroups()) {
    dispatch.launch.threadgroup_offsets[slot.index] = *offset++;
  }
  memcpy(dispatch.launch.threadgroups_per_grid, groups, sizeof groups);
  memcpy(dispatch.launch.threads_per_grid, threads, sizeof threads);
  memcpy(dispatch.launch.threads_per_group, group, sizeof group);
  dispatch.threadgroup_bytes = threadgroup_bytes;
  dispatch.uniform = uniform;
  return dispatch;
}

void Commands::Dispatch::expect(exec::Validation& validation) {
  const uint64_t* length = lengths();
  for (const Kernel::Slot& slot : kernel->buffers()) {
    validation.buffer_lengths[slot.index] = *length++;
  }
  const uint32_t* bytes = threadgroup_lengths();
  for (const Kernel::Slot& slot : kernel->threadgroups()) {
    validation.threadgroup_lengths[slot.index] = *bytes++;
  }
  validation.threadgroup_bytes = threadgroup_bytes;
}

Result<void> Commands::Dispatch::run() {
  exec::Dispatch dispatch = expand();
  exec::Validation validation;
  if (kernel->validated()) {
    expect(validation);
    dispatch.validation = &validation;
  }
  const exec::Shapes shapes = exec::shapes(dispatch);
  const exec::Code* code[2] = {};
  const bool needed[2] = {shapes.linear, shapes.general};
  // dispatchThreads may leave groups at the edge that are not what the pipeline promised.
  const bool whole = kernel->whole_simdgroups() && dispatch.uniform;
  const exec::Shape variants[2] = {whole ? exec::Shape::whole : exec::Shape::linear,
                                   exec::Shape::general};
  for (int i = 0; i < 2; ++i) {
    if (!needed[i]) continue;
    auto made = kernel->code(variants[i]);
    if (!made) return made.take_error();
    code[i] = *made;
  }
  auto ran = exec::run(dispatch, code[0], code[1]);
  if (!ran) return Error{"kernel '" + kernel->name() + "': " + ran.error()};
  return {};
}

Result<void> Commands::Indirect::run() const {
  Grid grid{};
  for (int i = 0; i < 3; ++i) {
    grid.size[i] = counts[i];
    grid.group[i] = dispatch->group[i];
  }
  auto checked = check_grid(*dispatch->kernel, grid);
  if (!checked) return checked;
  if (grid.empty()) return {};
  dispatch->set_grid(grid);
  return dispatch->run();
}

static size_t bytes_behind(const Kernel& kernel) {
  const size_t bytes = kernel.buffers().size() * sizeof(unsigned char*) +
                       kernel.threadgroups().size() * sizeof(uint32_t);
  return kernel.validated() ? 2 * bytes : bytes;
}

Result<void> Commands::dispatch(const Kernel& kernel, const Bindings& bindings, const Grid& grid) {
  auto checked = check_grid(kernel, grid);
  if (checked) checked = check_bindings(kernel, bindings);
  if (!checked || grid.empty()) return checked;

  auto* record = append<Dispatch>(bytes_behind(kernel));
  bind(*record, kernel, bindings);
  record->set_grid(grid);
  return {};
}

Result<void> Commands::dispatch_indirect(const Kernel& kernel, const Bindings& bindings,
                                         const uint32_t* counts, const uint64_t group[3]) {
  const Grid one{{1, 1, 1}, {group[0], group[1], group[2]}, false};
  auto checked = check_grid(kernel, one);
  if (checked) checked = check_bindings(kernel, bindings);
  if (!checked) return checked;

  auto* dispatch = new (take(sizeof(Dispatch) + bytes_behind(kernel), alignof(Dispatch))) Dispatch;
  bind(*dispatch, kernel, bindings);
  dispatch->set_grid(one);
  auto* record = append<Indirect>();
  record->dispatch = dispatch;
  record->counts = counts;
  return {};
}

void Commands::fill(unsigned char* target, uint8_t value, size_t length) {
  auto* record = append<Transfer>();
  record->target = target;
  record->value = value;
  record->length = length;
}

void Commands::copy(unsigned char* target, const unsigned char* source, size_t length) {
  auto* record = append<Transfer>();
  record->kind = Record::Kind::copy;
  record->target = target;
  record->source = source;
  record->length = length;
}

void Commands::signal(std::shared_ptr<Event> event, uint64_t value) {
  auto* record = append<Signal>();
  record->event = event.get();
  record->value = value;
  kept_.push_back(std::move(event));
}

void Commands::wait(std::shared_ptr<Event> event, uint64_t value) {
  signal(std::move(event), value);
  last_->kind = Record::Kind::wait;
}

Result<void> Commands::play(Record* record) {
  switch (record->kind) {
    case Record::Kind::dispatch:
      return static_cast<Dispatch*>(record)->run();
    case Record::Kind::indirect:
      return static_cast<Indirect*>(record)->run();
    case Record::Kind::fill:
    case Record::Kind::copy:
      static_cast<Transfer*>(record)->run();
      return {};
    case Record::Kind::signal:
    case Record::Kind::wait:
      static_cast<Signal*>(record)->run();
      return {};
  }
  return {};
}

Result<void> Commands::run() const {
  Result<void> result;
  for (Record* record = first_; record; record = record->next) {
    if (result) {
      result = play(record);
    } else if (record->kind == Record::Kind::signal) {
      static_cast<Signal*>(record)->run();
    }
  }
  return result;
}

void Commands::clear() {
  first_ = last_ = nullptr;
  free_ = nullptr;
  free_bytes_ = 0;
  chunks_.clear();
  kept_.clear();
}

}  // namespace mfa::metal
