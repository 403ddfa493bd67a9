// SPDX-License-Identifier: MIT
// The table behind all handles: slots are reused, each time under a new generation.
#include "api/handles.h"

#include <atomic>

#include "base/light_lock.h"

namespace mfa::api {

namespace {

// A handle's bits: kind in 60..63, generation in 32..59, index of the slot in 0..31. It is never a
// valid address, and never 0.
constexpr uint64_t generation_mask = (uint64_t(1) << 28) - 1;

struct Slot {
  std::shared_ptr<void> object;
  uint64_t references = 0;
  uint64_t generation = 0;
  Kind kind = Kind::none;
};

struct Table {
  LightLock lock;
  std::atomic<uint64_t> releases{0};  // written under the lock
  std::vector<Slot> slots;
  std::vector<uint32_t> free;
};

Table& table() {
  // Never destroyed: callbacks may release handles while static objects go.
  static Table* table = new Table;
  return *table;
}

const char* word(Kind kind) {
  static const char* const words[] = {"handle",  "device",   "buffer",
                                      "library", "pipeline", "commands"};
  return kind <= Kind::commands ? words[static_cast<size_t>(kind)] : "handle";
}

uint64_t handle_of(uint32_t index, const Slot& slot) {
  return static_cast<uint64_t>(slot.kind) << 60 | slot.generation << 32 | index;
}

/// The live slot of a handle; null if there is none. The table is locked.
Slot* live(Table& table, Kind kind, uintptr_t handle) {
  const uint32_t index = static_cast<uint32_t>(handle);
  if (static_cast<Kind>(handle >> 60) != kind || index >= table.slots.size()) return nullptr;
  Slot& slot = table.slots[index];
  return slot.references != 0 && handle_of(index, slot) == handle ? &slot : nullptr;
}

/// Why live() found none.
Status problem(const Table& table, Kind kind, uintptr_t handle, const char* name,
               const char* member = "") {
  if (handle == 0) return failure(Code::invalid_argument, "%s%s is NULL", name, member);
  const Kind given = static_cast<Kind>(handle >> 60);
  if (given == Kind::none || given > Kind::commands ||
      static_cast<uint32_t>(handle) >= table.slots.size())
    return failure(Code::invalid_argument, "%s%s is no handle", name, member);
  if (given != kind)
    return failure(Code::invalid_argument, "%s%s is a handle of mfa_%s, expected mfa_%s", name,
                   member, word(given), word(kind));
  return failure(Code::invalid_argument, "%s%s was released", name, member);
}

}  // namespace

uintptr_t publish(Kind kind, std::shared_ptr<void> object) {
  Table& all = table();
  std::lock_guard lock(all.lock);
  if (all.free.empty()) {
    all.slots.emplace_back();
    all.free.push_back(static_cast<uint32_t>(all.slots.size() - 1));
  }
  uint32_t index = all.free.back();
  all.free.pop_back();
  Slot& slot = all.slots[index];
  slot.object = std::move(object);
  slot.references = 1;
  slot.generation = (slot.generation + 1) & generation_mask;
  slot.kind = kind;
  return handle_of(index, slot);
}

Status use(Kind kind, uintptr_t handle, const char* name, const char* member, Copy copy, void* to) {
  Table& all = table();
  std::lock_guard lock(all.lock);
  if (const Slot* slot = live(all, kind, handle)) {
    copy(slot->object, to);
    return {};
  }
  return problem(all, kind, handle, name, member);
}

Status retain(Kind kind, uintptr_t handle) {
  Table& all = table();
  std::lock_guard lock(all.lock);
  Slot* slot = live(all, kind, handle);
  if (!slot) return problem(all, kind, handle, word(kind));
  ++slot->references;
  return {};
}

Outcome<std::shared_ptr<void>> release(Kind kind, uintptr_t handle) {
  Table& all = table();
  std::lock_guard lock(all.lock);
  Slot* slot = live(all, kind, handle);
  if (!slot) return problem(all, kind, handle, word(kind));
  if (--slot->references != 0) return std::shared_ptr<void>();
  all.releases.store(all.releases.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  // Room for the index is there: the slot came from this list.
  all.free.push_back(static_cast<uint32_t>(handle));
  return std::move(slot->object);
}

uint64_t releases() { return table().releases.load(std::memory_order_acquire); }

}  // namespace mfa::api
