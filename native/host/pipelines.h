// SPDX-License-Identifier: MIT
// Kernel descriptors -> compiled pipelines, each compiled once however many threads ask.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "host/kernel.h"
#include "host/object.h"
#include "host/status.h"

namespace mfa::host {

class Device;

class PipelineCache {
 public:
  explicit PipelineCache(Device& device) : device_(device) {}

  /// The MTLComputePipelineState, valid as long as the device. Compiles it, or waits for who does.
  Outcome<void*> get(const KernelDescriptor& kernel);
  /// Compiles on Metal's threads; `done` is called from there, or at once if nothing is to do.
  void prepare(const KernelDescriptor& kernel, std::function<void(const Status&)> done);
  bool has(const KernelDescriptor& kernel);

 private:
  struct Entry;
  /// The kernel's entry; `ours` if the caller has to compile it.
  std::shared_ptr<Entry> entry(const KernelDescriptor& kernel, bool& ours);
  void finish(const KernelDescriptor& kernel, const std::shared_ptr<Entry>& entry, void* state,
              Status status);

  Device& device_;
  std::mutex mutex_;
  std::unordered_map<KernelDescriptor, std::shared_ptr<Entry>, KernelHash> entries_;
};

}  // namespace mfa::host
