// SPDX-License-Identifier: MIT
// One command buffer with one compute encoder: filled, committed once, waited for.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "host/buffer.h"
#include "host/library.h"

namespace mfa::host {

struct Compiled;
struct TileTables;

enum class State { encoding = 1, committed = 2, completed = 3, failed = 4 };

/// Called with how the commands ended.
using Completion = std::function<void(const Status&)>;

/// What a slot of a dispatch is bound to: a buffer, bytes, or a length of threadgroup memory.
struct Binding {
  enum class Kind { buffer, bytes, threadgroup };
  Kind kind;
  uint32_t slot;
  const Buffer* buffer;  // the caller keeps it until the dispatch is encoded
  uint64_t offset;
  const void* bytes;
  uint64_t length;
};

/// Memory that an operation works on, by its address.
struct Use {
  uint64_t begin, end;
  bool write;
};

struct Grid {
  uint64_t size[3] = {1, 1, 1};
  uint64_t threads_per_threadgroup[3] = {1, 1, 1};
  bool in_threads = false;
};

class Commands {
 public:
  /// `concurrent`: operations may run at the same time unless will_use() told that they must not.
  static Outcome<std::shared_ptr<Commands>> begin(std::shared_ptr<Device> device,
                                                  bool concurrent = false);
  /// Over the caller's MTLComputeCommandEncoder, who ends and commits it.
  static Outcome<std::shared_ptr<Commands>> wrap(std::shared_ptr<Device> device, void* encoder);

  Commands() = default;
  Commands(const Commands&) = delete;
  Commands& operator=(const Commands&) = delete;
  ~Commands();

  const std::shared_ptr<Device>& device() const { return device_; }
  State state() const;
  uint32_t operations() const { return operations_; }
  double gpu_start_time() const;
  double gpu_end_time() const;
  std::string error() const;

  /// The encoder while it takes commands; why not otherwise.
  Outcome<void*> encoder();
  /// The same for somebody who may encode what nobody tells us.
  Outcome<void*> lend_encoder();
  /// Before the dispatches of an operation: the memory that it reads and writes.
  void will_use(const Use* uses, size_t count);
  bool concurrent() const { return concurrent_; }
  /// The encoder is somebody else's, who does not say when it is committed.
  bool wrapped() const { return wrapped_; }
  /// Encodes a dispatch without any check of the bindings.
  void dispatch(void* pipeline, const Binding* bindings, size_t count, const Grid& grid);
  /// The device's own opinion of a dispatch of this pipeline with these bindings.
  Status check(void* pipeline, const Binding* bindings, size_t count, const Grid& grid);
  void count_operation() {
    ++operations_;
    end_uses();
  }

  /// What the latest operation was planned as: a batch often has many alike in a row.
  struct LatestPlan {
    const void* kind = nullptr;  // of problem; null: none yet
    const TileTables* tiles = nullptr;
    std::shared_ptr<const Compiled> compiled;
    alignas(8) unsigned char problem[1024];
  };
  LatestPlan& latest_plan() { return latest_plan_; }

  /// Memory for the steps of one operation; the next operation's may be the same.
  Outcome<std::shared_ptr<Buffer>> workspace(uint64_t bytes);
  uint64_t workspace_bytes() const { return workspace_bytes_; }
  /// The next dispatch is so many floating-point operations and should not make the command buffer
  /// take longer than `seconds`: if it would, another one begins. Not over a wrapped encoder.
  Status expect_work(double operations, double seconds);
  uint32_t command_buffers() const { return uint32_t(earlier_.size()) + 1; }

  Status set_label(const std::string& label);
  /// Of the operations that are encoded from here on; "" for none.
  Status set_operation_label(const std::string& label);
  const std::string& operation_label() const { return operation_label_; }
  Status on_completed(Completion completion);
  Status commit();
  /// commit() and wait(-1), with the least latency the device offers.
  Status run();
  /// Until the commands have run and their completions were called; inside of a completion only
  /// until they have run. `seconds` < 0: for ever.
  Status wait(double seconds);

 private:
  Status finish_encoding();
  /// Shared with Metal's completion handler, which may run after the Commands are gone.
  struct Shared {
    std::mutex mutex;
    std::condition_variable changed;
    std::atomic<State> state{State::encoding};  // read without, written under the mutex
    std::string name;                           // for messages and traces
    uint64_t trace_id = 0;
    bool announced = false;  // completions have been called
    Status status;
    double start = 0, end = 0;
    std::vector<Completion> completions;
    std::vector<std::shared_ptr<Buffer>> workspaces;  // until the commands have run

    void part_ended(const Status& status, double start, double end);
  };
  /// A command buffer that is full.
  struct Part {
    Object buffer;
    double work;  // 0: not known
  };
  double known_work() const { return dispatches_ == expected_ ? work_ : 0; }

  /// A command buffer of the device's queue with an encoder.
  Status open(Object& buffer, Object& encoder) const;
  void end_uses();
  void barrier();
  void encode(void* pipeline, const Binding* bindings, size_t count, const Grid& grid);
  void bind(void* pipeline, const Binding* bindings, size_t count);
  Status refuse_wrapped(const char* what) const;

  std::shared_ptr<Device> device_;
  Object buffer_, encoder_;
  std::vector<Part> earlier_;
  double work_ = 0;                         // of the current command buffer
  uint32_t dispatches_ = 0, expected_ = 0;  // in it, and those whose work is part of work_
  uint64_t workspace_bytes_ = 0;
  std::string label_, operation_label_;
  Object group_;  // NSString of operation_label_, if there is one
  bool wrapped_ = false;
  // Concurrent: what runs since the last barrier uses `uses_`, the operation that is being encoded
  // `own_uses_`, and a stranger's commands nobody knows what.
  bool concurrent_ = false, stranger_ = false;
  uint32_t steps_ = 0;  // of the operation so far
  std::vector<Use> uses_, own_uses_;
  uint32_t operations_ = 0;
  LatestPlan latest_plan_;
  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

}  // namespace mfa::host
