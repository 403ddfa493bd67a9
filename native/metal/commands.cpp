// SPDX-License-Identifier: MIT
// Calls of an encoder -> records -> dispatches of the executor.
#include "metal/commands.h"

#include <atomic>
#include <cstring>
#include <deque>
#include <new>
#include <utility>

#include "base/trace.h"
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
  const char* group = nullptr;  // in the arena
  bool beside = false;          // may run at the same time as the one before

  explicit Record(Kind kind) : kind(kind) {}
};

// Followed by a pointer for each of the kernel's buffer slots and an offset for each of its
// threadgroup slots, in their order; if the kernel is validated each with the lengths behind them.
struct Commands::Dispatch : Record {
  const Kernel* kernel = nullptr;
  uint32_t groups[3] = {}, threads[3] = {}, group_size[3] = {};
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
  exec::Traced traced() const;
  Result<void> find_code(exec::Shapes shapes, const exec::Code* code[2]) const;
  void expect(exec::Validation& validation);
  Result<void> run(exec::Caller& caller);
};

struct Commands::Indirect : Record {
  Dispatch* dispatch = nullptr;  // complete but for the grid
  const uint32_t* counts = nullptr;

  Indirect() : Record(Kind::indirect) {}
  Result<void> run(exec::Caller& caller) const;
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

void Commands::keep(const std::shared_ptr<Memory>& memory) {
  if (memory->last_keeper.load(std::memory_order_relaxed) == id_) return;
  memory->last_keeper.store(id_, std::memory_order_relaxed);
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
  if (!groups_.empty()) record->group = groups_.back();
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
    const auto each = static_cast<uint32_t>(grid.group[i]);
    group_size[i] = each;
    groups[i] = grid.threads ? size / each + (size % each != 0) : size;
    threads[i] = grid.threads ? size : size * each;
    if (threads[i] != groups[i] * each) uniform = false;
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
  memcpy(dispatch.launch.threads_per_group, group_size, sizeof group_size);
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

Result<void> Commands::Dispatch::run(exec::Caller& caller) {
  exec::Dispatch dispatch = expand();
  exec::Validation validation;
  if (kernel->validated()) {
    expect(validation);
    dispatch.validation = &validation;
  }
  exec::Traced named;
  if (trace::on()) {
    named = traced();
    dispatch.traced = &named;
  }
  const exec::Shapes needed = exec::shapes(dispatch);
  const exec::Code* code[2] = {};
  auto found = find_code(needed, code);
  if (!found) return found;
  auto ran = exec::run(dispatch, needed, code[0], code[1], caller);
  if (!ran) return Error{"kernel '" + kernel->name() + "': " + ran.error()};
  return {};
}

exec::Traced Commands::Dispatch::traced() const {
  auto spell = [](const uint32_t size[3]) {
    return std::to_string(size[0]) + " x " + std::to_string(size[1]) + " x " +
           std::to_string(size[2]);
  };
  exec::Traced result;
  result.name = group ? group : kernel->name();
  result.arguments.add("kernel", kernel->name());
  result.arguments.add("threadgroups", spell(groups)).add("threads", spell(group_size));
  return result;
}

/// The variants of the kernel that the grid needs; compiles those that were never needed before.
Result<void> Commands::Dispatch::find_code(exec::Shapes shapes, const exec::Code* code[2]) const {
  const bool needed[2] = {shapes.linear, shapes.general};
  // dispatchThreads may leave groups at the edge that are not what the pipeline promised.
  const bool whole = kernel->whole_simdgroups() && uniform;
  const exec::Shape variants[2] = {whole ? exec::Shape::whole : exec::Shape::linear,
                                   exec::Shape::general};
  for (int i = 0; i < 2; ++i) {
    if (!needed[i]) continue;
    auto made = kernel->code(variants[i]);
    if (!made) return made.take_error();
    code[i] = *made;
  }
  return {};
}

Result<void> Commands::Indirect::run(exec::Caller& caller) const {
  Grid grid{};
  for (int i = 0; i < 3; ++i) {
    grid.size[i] = counts[i];
    grid.group[i] = dispatch->group_size[i];
  }
  auto checked = check_grid(*dispatch->kernel, grid);
  if (!checked) return checked;
  if (grid.empty()) return {};
  dispatch->set_grid(grid);
  return dispatch->run(caller);
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

  const bool beside = concurrent_ && !barrier_ && last_ && last_->kind == Record::Kind::dispatch;
  auto* record = append<Dispatch>(bytes_behind(kernel));
  record->beside = beside;
  barrier_ = false;
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

void Commands::set_concurrent(bool concurrent) {
  concurrent_ = concurrent;
  barrier_ = true;
}

void Commands::push_group(const std::string& name) {
  std::string whole = groups_.empty() ? name : std::string(groups_.back()) + " / " + name;
  // Whoever names each operation of many alike gets one copy.
  if (!latest_group_ || whole != latest_group_) {
    auto* copy = static_cast<char*>(take(whole.size() + 1, 1));
    memcpy(copy, whole.c_str(), whole.size() + 1);
    latest_group_ = copy;
  }
  groups_.push_back(latest_group_);
}

void Commands::pop_group() {
  if (!groups_.empty()) groups_.pop_back();
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

Result<void> Commands::play(Record* record, exec::Caller& caller) {
  switch (record->kind) {
    case Record::Kind::dispatch:
      return static_cast<Dispatch*>(record)->run(caller);
    case Record::Kind::indirect:
      return static_cast<Indirect*>(record)->run(caller);
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

/// play(), and a slice of the trace.
Result<void> Commands::play_traced(Record* record, exec::Caller& caller) {
  static const char* const kinds[] = {"", "", "fill", "copy", "signal", "wait"};
  exec::Traced traced;
  if (record->kind == Record::Kind::dispatch) {
    traced = static_cast<Dispatch*>(record)->traced();
  } else if (record->kind == Record::Kind::indirect) {
    traced = static_cast<Indirect*>(record)->dispatch->traced();
  } else {
    traced.name = record->group ? record->group : kinds[static_cast<size_t>(record->kind)];
  }
  const double start = trace::now();
  auto played = play(record, caller);
  if (!played) traced.arguments.add("error", played.error());
  trace::slice("command", traced.name, start, trace::now(), traced.arguments);
  return played;
}

static Error in_group(const char* group, const std::string& message) {
  return Error{group ? '"' + std::string(group) + "\": " + message : message};
}

/// The dispatches from `first` up to `end`. If several fail, the first one counts.
Result<void> Commands::play_together(Record* first, Record* end, exec::Caller& caller) {
  std::vector<exec::Work> works;
  std::deque<exec::Validation> validations;
  std::deque<exec::Traced> traced;
  std::vector<Dispatch*> records;
  for (Record* at = first; at != end; at = at->next) {
    auto* record = static_cast<Dispatch*>(at);
    exec::Work work;
    work.dispatch = record->expand();
    if (record->kernel->validated()) {
      work.dispatch.validation = &validations.emplace_back();
      record->expect(*work.dispatch.validation);
    }
    if (trace::on()) work.dispatch.traced = &traced.emplace_back(record->traced());
    work.needed = exec::shapes(work.dispatch);
    const exec::Code* code[2] = {};
    auto found = record->find_code(work.needed, code);
    if (!found) return in_group(record->group, found.error());
    work.linear = code[0];
    work.general = code[1];
    works.push_back(std::move(work));
    records.push_back(record);
  }
  exec::run_together(works, caller);
  for (size_t i = 0; i < works.size(); ++i)
    if (!works[i].result)
      return in_group(records[i]->group,
                      "kernel '" + records[i]->kernel->name() + "': " + works[i].result.error());
  return {};
}

Result<void> Commands::run() const {
  Result<void> result;
  exec::Caller caller;
  for (Record *record = first_, *next; record; record = next) {
    next = record->next;
    if (!result) {
      if (record->kind == Record::Kind::signal) static_cast<Signal*>(record)->run();
      continue;
    }
    while (next && next->beside) next = next->next;
    if (next != record->next) {
      result = play_together(record, next, caller);
      continue;
    }
    result = trace::on() ? play_traced(record, caller) : play(record, caller);
    if (!result) result = in_group(record->group, result.error());
  }
  return result;
}

void Commands::clear() {
  first_ = last_ = nullptr;
  latest_group_ = nullptr;
  groups_.clear();
  free_ = nullptr;
  free_bytes_ = 0;
  chunks_.clear();
  kept_.clear();
}

}  // namespace mfa::metal
