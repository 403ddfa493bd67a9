// SPDX-License-Identifier: MIT
// Kernel descriptors -> MTLComputePipelineStates, by Metal's blocking and asynchronous calls.
#include "host/pipelines.h"

#include <condition_variable>
#include <vector>

#include "base/trace.h"
#include "host/library.h"
#include "host/metal_objects.h"

namespace mfa::host {

struct PipelineCache::Entry {
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  Status status;
  Object pipeline;
  uint64_t trace_id = 0;
  std::vector<std::function<void(const Status&)>> waiting;
};

namespace {

MTLFunctionConstantValues* values_of(const KernelDescriptor& kernel) {
  MTLFunctionConstantValues* values = [[[MTLFunctionConstantValues alloc] init] autorelease];
  for (const KernelDescriptor::Constant& constant : kernel)
    [values setConstantValue:&constant.bits type:(MTLDataType)constant.type atIndex:constant.index];
  return values;
}

/// All our kernels are dispatched in multiples of 32 threads.
MTLComputePipelineDescriptor* descriptor_of(id<MTLFunction> function) {
  MTLComputePipelineDescriptor* made = [[[MTLComputePipelineDescriptor alloc] init] autorelease];
  made.computeFunction = function;
  made.threadGroupSizeIsMultipleOfThreadExecutionWidth = YES;
  return made;
}

Status compile_failure(const KernelDescriptor& kernel, NSError* error) {
  Status status = status_of(error, Code::compile);
  status.message = std::string(kernel.function()) + " (" + kernel.text() + "): " + status.message;
  return status;
}

}  // namespace

std::shared_ptr<PipelineCache::Entry> PipelineCache::entry(const KernelDescriptor& kernel,
                                                           bool& ours) {
  std::lock_guard lock(mutex_);
  std::shared_ptr<Entry>& entry = entries_[kernel];
  ours = entry == nullptr;
  if (ours) {
    entry = std::make_shared<Entry>();
    if (trace::on()) {
      entry->trace_id = trace::next_id();
      trace::begin("pipeline", kernel.function(), entry->trace_id,
                   trace::Arguments().add("variant", kernel.text()));
    }
  }
  return entry;
}

void PipelineCache::finish(const KernelDescriptor& kernel, const std::shared_ptr<Entry>& entry,
                           void* state, Status status) {
  std::vector<std::function<void(const Status&)>> waiting;
  if (trace::on()) trace::end("pipeline", kernel.function(), entry->trace_id);
  if (!status.ok()) {
    // Not kept: running out of memory, say, need not last.
    std::lock_guard lock(mutex_);
    entries_.erase(kernel);
  }
  {
    std::lock_guard lock(entry->mutex);
    entry->pipeline = Object::retain(state);
    entry->status = status;
    entry->done = true;
    waiting.swap(entry->waiting);
  }
  entry->changed.notify_all();
  for (const auto& done : waiting) done(status);
}

bool PipelineCache::has(const KernelDescriptor& kernel) {
  std::lock_guard lock(mutex_);
  auto found = entries_.find(kernel);
  if (found == entries_.end()) return false;
  std::lock_guard entry_lock(found->second->mutex);
  return found->second->done;
}

Outcome<void*> PipelineCache::get(const KernelDescriptor& kernel) {
  bool ours = false;
  std::shared_ptr<Entry> found = entry(kernel, ours);
  if (ours) {
    auto library = device_.default_library(kernel.function());
    if (!library.ok()) {
      finish(kernel, found, nullptr, library.status());
      return library.status();
    }
    @autoreleasepool {
      NSError* error = nil;
      id<MTLFunction> function = [(id<MTLLibrary>)(*library)->part(kernel.function())
          newFunctionWithName:string(kernel.function())
               constantValues:values_of(kernel)
                        error:&error];
      id<MTLComputePipelineState> state = nil;
      if (function != nil)
        state = [as<id<MTLDevice>>(device_.metal)
            newComputePipelineStateWithDescriptor:descriptor_of(function)
                                          options:MTLPipelineOptionNone
                                       reflection:nullptr
                                            error:&error];
      finish(kernel, found, (void*)state, state ? Status() : compile_failure(kernel, error));
      [state release];
      [function release];
    }
  }
  std::unique_lock lock(found->mutex);
  found->changed.wait(lock, [&] { return found->done; });
  if (!found->status.ok()) return found->status;
  return found->pipeline.get();
}

void PipelineCache::prepare(const KernelDescriptor& kernel,
                            std::function<void(const Status&)> done) {
  bool ours = false;
  std::shared_ptr<Entry> found = entry(kernel, ours);
  {
    std::unique_lock lock(found->mutex);
    if (!found->done) {
      found->waiting.push_back(std::move(done));
    } else {
      Status status = found->status;
      lock.unlock();
      done(status);
    }
  }
  if (!ours) return;
  auto library = device_.default_library(kernel.function());
  if (!library.ok()) return finish(kernel, found, nullptr, library.status());
  @autoreleasepool {
    NSError* error = nil;
    id<MTLFunction> function = [(id<MTLLibrary>)(*library)->part(kernel.function())
        newFunctionWithName:string(kernel.function())
             constantValues:values_of(kernel)
                      error:&error];
    if (function == nil) return finish(kernel, found, nullptr, compile_failure(kernel, error));
    KernelDescriptor descriptor = kernel;
    [as<id<MTLDevice>>(device_.metal)
        newComputePipelineStateWithDescriptor:descriptor_of(function)
                                      options:MTLPipelineOptionNone
                            completionHandler:^(id<MTLComputePipelineState> state,
                                                MTLComputePipelineReflection* reflection,
                                                NSError* failed) {
                              (void)reflection;
                              finish(descriptor, found, (void*)state,
                                     state ? Status() : compile_failure(descriptor, failed));
                            }];
    [function release];
  }
}

}  // namespace mfa::host
