// SPDX-License-Identifier: MIT
// The recorded content of a command buffer: compact records in one arena, played back in order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "metal/bindings.h"
#include "metal/event.h"
#include "metal/kernel.h"
#include "metal/memory.h"

namespace mfa::exec {
class Caller;
}

namespace mfa::metal {

class Commands {
 public:
  Commands();
  Commands(const Commands&) = delete;
  Commands& operator=(const Commands&) = delete;
  ~Commands();

  /// Holds on to what the records point at until the list is cleared.
  void keep(const std::shared_ptr<Memory>& memory);
  void keep(const std::shared_ptr<const Kernel>& kernel);
  /// A copy of the bytes that lives as long as the records.
  unsigned char* copy_bytes(const void* bytes, size_t length);

  /// Records a dispatch; the bindings it needs are copied. What cannot run is not recorded.
  Result<void> dispatch(const Kernel& kernel, const Bindings& bindings, const Grid& grid);
  /// The number of threadgroups is read from `counts` when the record is played back.
  Result<void> dispatch_indirect(const Kernel& kernel, const Bindings& bindings,
                                 const uint32_t* counts, const uint64_t group[3]);
  void fill(unsigned char* target, uint8_t value, size_t length);
  void copy(unsigned char* target, const unsigned char* source, size_t length);
  /// Dispatches recorded from here on may run at the same time as those before them, up to the next
  /// barrier, or must not.
  void set_concurrent(bool concurrent);
  /// What follows waits for what came before.
  void barrier() { barrier_ = true; }
  /// What is recorded from here on belongs to a group of this name, inside those pushed before.
  void push_group(const std::string& name);
  void pop_group();
  /// The whole name of the current group; null outside of all.
  const char* group() const { return groups_.empty() ? nullptr : groups_.back(); }
  void signal(std::shared_ptr<Event> event, uint64_t value);
  void wait(std::shared_ptr<Event> event, uint64_t value);

  /// Plays everything back. After a failure, and what ran at the same time, only events are
  /// signalled: others may wait for them.
  Result<void> run() const;
  /// Drops records and lets go of everything kept.
  void clear();

 private:
  struct Record;
  struct Dispatch;
  struct Indirect;
  struct Transfer;
  struct Signal;

  static Result<void> play(Record* record, exec::Caller& caller);
  static Result<void> play_traced(Record* record, exec::Caller& caller);
  static Result<void> play_together(Record* first, Record* end, exec::Caller& caller);
  void* take(size_t bytes, size_t alignment);
  template <class T>
  T* append(size_t extra_bytes = 0);
  void bind(Dispatch& record, const Kernel& kernel, const Bindings& bindings);

  const uint64_t id_;
  std::vector<std::unique_ptr<unsigned char[]>> chunks_;
  unsigned char* free_ = nullptr;
  size_t free_bytes_ = 0;
  Record* first_ = nullptr;
  Record* last_ = nullptr;
  bool concurrent_ = false, barrier_ = true;
  std::vector<const char*> groups_;  // full names; the last one is the current group's
  const char* latest_group_ = nullptr;
  std::vector<std::shared_ptr<const void>> kept_;
};

}  // namespace mfa::metal
