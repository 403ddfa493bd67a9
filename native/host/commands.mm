// SPDX-License-Identifier: MIT
// Bindings and grids -> calls of an MTLComputeCommandEncoder; its command buffer's life.
#include "host/commands.h"

#include <chrono>

#include "base/trace.h"
#include "host/callbacks.h"
#include "host/metal_objects.h"
#include "host/workspace.h"

namespace mfa::host {

namespace {

MTLSize size_of(const uint64_t size[3]) { return MTLSizeMake(size[0], size[1], size[2]); }

}  // namespace

Status Commands::open(Object& buffer, Object& encoder) const {
  @autoreleasepool {
    id<MTLCommandBuffer> made = [as<id<MTLCommandQueue>>(device_->queue) commandBuffer];
    id<MTLComputeCommandEncoder> opened =
        concurrent_ ? [made computeCommandEncoderWithDispatchType:MTLDispatchTypeConcurrent]
                    : [made computeCommandEncoder];
    if (opened == nil)
      return failure(Code::out_of_memory, "device \"%s\" gave no command buffer",
                     device_->name.c_str());
    buffer = Object::retain((void*)made);
    encoder = Object::retain((void*)opened);
    return {};
  }
}

Outcome<std::shared_ptr<Commands>> Commands::begin(std::shared_ptr<Device> device,
                                                   bool concurrent) {
  if (!trace::error().empty()) return Status{Code::not_found, trace::error()};
  auto commands = std::make_shared<Commands>();
  commands->concurrent_ = concurrent;
  commands->device_ = std::move(device);
  MFA_TRY(commands->open(commands->buffer_, commands->encoder_));
  return commands;
}

Outcome<std::shared_ptr<Commands>> Commands::wrap(std::shared_ptr<Device> device, void* encoder) {
  @autoreleasepool {
    if (![(id)encoder respondsToSelector:@selector(dispatchThreadgroups:threadsPerThreadgroup:)])
      return failure(Code::invalid_argument, "encoder is no id<MTLComputeCommandEncoder>");
    if ((void*)[(id<MTLComputeCommandEncoder>)encoder device] != device->metal.get())
      return failure(Code::invalid_argument, "encoder belongs to another device than \"%s\"",
                     device->name.c_str());
    auto commands = std::make_shared<Commands>();
    commands->encoder_ = Object::retain(encoder);
    commands->concurrent_ =
        [(id<MTLComputeCommandEncoder>)encoder dispatchType] == MTLDispatchTypeConcurrent;
    commands->stranger_ = true;
    commands->wrapped_ = true;
    commands->device_ = std::move(device);
    return commands;
  }
}

Commands::~Commands() {
  // Metal insists that every encoder is ended before it goes.
  if (!wrapped_ && encoder_) [as<id<MTLComputeCommandEncoder>>(encoder_) endEncoding];
}

void Commands::Shared::part_ended(const Status& ended, double from, double to) {
  std::lock_guard lock(mutex);
  if (start == 0) start = from;
  end = to;
  if (status.ok()) status = ended;
}

State Commands::state() const { return shared_->state; }

double Commands::gpu_start_time() const {
  std::lock_guard lock(shared_->mutex);
  return shared_->start;
}

double Commands::gpu_end_time() const {
  std::lock_guard lock(shared_->mutex);
  return shared_->end;
}

std::string Commands::error() const {
  std::lock_guard lock(shared_->mutex);
  return shared_->status.message;
}

Outcome<void*> Commands::encoder() {
  if (state() != State::encoding || !encoder_)
    return failure(Code::wrong_state, "commands were committed already");
  return encoder_.get();
}

Outcome<void*> Commands::lend_encoder() {
  stranger_ = true;
  return encoder();
}

void Commands::barrier() {
  [as<id<MTLComputeCommandEncoder>>(encoder_) memoryBarrierWithScope:MTLBarrierScopeBuffers];
  uses_.clear();
  stranger_ = false;
}

void Commands::will_use(const Use* uses, size_t count) {
  constexpr size_t most = 512;  // every use is compared with all of them
  if (!concurrent_) return;
  bool meets = stranger_ || uses_.size() > most;
  for (size_t i = 0; i < count && !meets; ++i)
    for (const Use& other : uses_)
      if ((uses[i].write || other.write) && uses[i].begin < other.end && other.begin < uses[i].end)
        meets = true;
  if (meets) barrier();
  own_uses_.insert(own_uses_.end(), uses, uses + count);
}

void Commands::end_uses() {
  steps_ = 0;
  uses_.insert(uses_.end(), own_uses_.begin(), own_uses_.end());
  own_uses_.clear();
}

void Commands::bind(void* pipeline, const Binding* bindings, size_t count) {
  id<MTLComputeCommandEncoder> encoder = as<id<MTLComputeCommandEncoder>>(encoder_);
  [encoder setComputePipelineState:(id<MTLComputePipelineState>)pipeline];
  for (size_t i = 0; i < count; ++i) {
    const Binding& binding = bindings[i];
    switch (binding.kind) {
      case Binding::Kind::buffer:
        [encoder setBuffer:as<id<MTLBuffer>>(binding.buffer->metal)
                    offset:binding.buffer->base + binding.offset
                   atIndex:binding.slot];
        break;
      case Binding::Kind::bytes:
        [encoder setBytes:binding.bytes length:binding.length atIndex:binding.slot];
        break;
      case Binding::Kind::threadgroup:
        [encoder setThreadgroupMemoryLength:binding.length atIndex:binding.slot];
        break;
    }
  }
}

void Commands::dispatch(void* pipeline, const Binding* bindings, size_t count, const Grid& grid) {
  ++dispatches_;
  // Each step of an operation works on what the one before left.
  if (concurrent_ && steps_++ != 0) barrier();
  if (device_->backend == Backend::metal || group_) {
    @autoreleasepool {
      encode(pipeline, bindings, count, grid);
    }
  } else {  // our own encoder makes no objects here, and a pool costs as much as all else
    encode(pipeline, bindings, count, grid);
  }
}

void Commands::encode(void* pipeline, const Binding* bindings, size_t count, const Grid& grid) {
  id<MTLComputeCommandEncoder> encoder = as<id<MTLComputeCommandEncoder>>(encoder_);
  if (group_) [encoder pushDebugGroup:as<NSString*>(group_)];
  bind(pipeline, bindings, count);
  if (grid.in_threads)
    [encoder dispatchThreads:size_of(grid.size)
        threadsPerThreadgroup:size_of(grid.threads_per_threadgroup)];
  else
    [encoder dispatchThreadgroups:size_of(grid.size)
            threadsPerThreadgroup:size_of(grid.threads_per_threadgroup)];
  if (group_) [encoder popDebugGroup];
}

Status Commands::check(void* pipeline, const Binding* bindings, size_t count, const Grid& grid) {
  @autoreleasepool {
    id encoder = as<id>(encoder_);
    SEL selector = grid.in_threads ? @selector(mfaErrorForDispatchThreads:threadsPerThreadgroup:)
                                   : @selector
                       (mfaErrorForDispatchThreadgroups:threadsPerThreadgroup:);
    if (![encoder respondsToSelector:selector]) return {};
    bind(pipeline, bindings, count);
    id<MFAEncoderExtras> extras = (id<MFAEncoderExtras>)encoder;
    MTLSize size = size_of(grid.size), threads = size_of(grid.threads_per_threadgroup);
    NSError* error = grid.in_threads
                         ? [extras mfaErrorForDispatchThreads:size threadsPerThreadgroup:threads]
                         : [extras mfaErrorForDispatchThreadgroups:size
                                             threadsPerThreadgroup:threads];
    if (error == nil) return {};
    return {Code::invalid_argument, text([error localizedDescription])};
  }
}

Status Commands::refuse_wrapped(const char* what) const {
  if (!wrapped_) return {};
  return failure(Code::wrong_state, "commands wrap an encoder: its owner %s", what);
}

Outcome<std::shared_ptr<Buffer>> Commands::workspace(uint64_t bytes) {
  // Over a caller's encoder nobody says when the memory is free again, so it is not the pool's.
  if (wrapped_) {
    workspace_bytes_ += bytes;
    return Buffer::make(device_, bytes, Storage::private_);
  }
  auto used = [this](const std::shared_ptr<Buffer>& buffer) {
    const Use use = {buffer->address, buffer->address + buffer->length, true};
    will_use(&use, 1);
    return buffer;
  };
  for (const std::shared_ptr<Buffer>& buffer : shared_->workspaces)
    if (buffer->length >= bytes) return used(buffer);
  auto taken = device_->workspaces().take(device_, bytes);
  if (!taken.ok()) return taken;
  shared_->workspaces.push_back(*taken);
  workspace_bytes_ += (*taken)->length;
  return used(*taken);
}

Status Commands::expect_work(double operations, double seconds) {
  bool fits = work_ == 0 || work_ + operations <= seconds * device_->rate();
  if (wrapped_ || fits) {
    work_ += operations;
    ++expected_;
    return {};
  }
  Object buffer, encoder;
  MFA_TRY(open(buffer, encoder));
  [as<id<MTLComputeCommandEncoder>>(encoder_) endEncoding];
  earlier_.push_back({std::move(buffer_), known_work()});
  buffer_ = std::move(buffer);
  encoder_ = std::move(encoder);
  work_ = operations;
  expected_ = 1;
  dispatches_ = 0;
  uses_.clear();
  if (!label_.empty()) MFA_TRY(set_label(label_));
  return {};
}

Status Commands::set_label(const std::string& label) {
  auto open = encoder();
  if (!open.ok()) return open.status();
  @autoreleasepool {
    NSString* text = string(label);
    if (text == nil) return failure(Code::invalid_argument, "label is not UTF-8");
    if (buffer_) [as<id<MTLCommandBuffer>>(buffer_) setLabel:text];
    [as<id<MTLComputeCommandEncoder>>(encoder_) setLabel:text];
  }
  label_ = label;
  return {};
}

Status Commands::set_operation_label(const std::string& label) {
  auto open = encoder();
  if (!open.ok()) return open.status();
  if (label == operation_label_) return {};
  @autoreleasepool {
    NSString* text = string(label);
    if (text == nil) return failure(Code::invalid_argument, "label is not UTF-8");
    // Metal keeps groups balanced in an encoder that may not be ours: opened for each dispatch.
    group_ = label.empty() ? Object() : Object::retain((void*)text);
  }
  operation_label_ = label;
  return {};
}

Status Commands::on_completed(Completion completion) {
  MFA_TRY(refuse_wrapped("hears of its completion"));
  std::lock_guard lock(shared_->mutex);
  if (shared_->state != State::encoding)
    return failure(Code::wrong_state, "commands were committed already");
  shared_->completions.push_back(std::move(completion));
  return {};
}

Status Commands::commit() {
  MFA_TRY(finish_encoding());
  @autoreleasepool {
    [as<id<MTLCommandBuffer>>(buffer_) commit];
  }
  return {};
}

Status Commands::run() {
  MFA_TRY(finish_encoding());
  @autoreleasepool {
    id buffer = as<id>(buffer_);
    if ([buffer respondsToSelector:@selector(mfaCommitAndWait)])
      [(id<MFACommandBufferExtras>)buffer mfaCommitAndWait];
    else
      [(id<MTLCommandBuffer>)buffer commit];
  }
  return wait(-1);
}

/// Everything of a commit but the commit.
Status Commands::finish_encoding() {
  MFA_TRY(refuse_wrapped("commits it"));
  {
    std::lock_guard lock(shared_->mutex);
    if (shared_->state != State::encoding)
      return failure(Code::wrong_state, "commands were committed already");
    shared_->state = State::committed;
    shared_->name = label_;
  }
  if (trace::on()) {
    shared_->trace_id = trace::next_id();
    if (label_.empty()) shared_->name = "commands " + std::to_string(shared_->trace_id);
    trace::begin("commands", shared_->name, shared_->trace_id,
                 trace::Arguments().add("operations", operations_).add("device", device_->name));
  }
  @autoreleasepool {
    id<MTLCommandBuffer> buffer = as<id<MTLCommandBuffer>>(buffer_);
    [as<id<MTLComputeCommandEncoder>>(encoder_) endEncoding];
    encoder_ = Object();
    std::shared_ptr<Shared> shared = shared_;
    std::shared_ptr<Device> device = device_;
    std::string prefix = label_.empty() ? "" : "commands \"" + label_ + "\": ";
    auto part_ended = [shared, device, prefix](id<MTLCommandBuffer> ended, double work) {
      double start = [ended GPUStartTime], end = [ended GPUEndTime];
      if (trace::on())
        trace::slice_on(device->name + " queue", "command buffer", shared->name, start, end);
      Status status;
      if ([ended status] != MTLCommandBufferStatusCompleted) {
        status = status_of([ended error], Code::execution);
        status.message.insert(0, prefix);
      } else if (work != 0) {
        device->measured(work, end - start);
      }
      shared->part_ended(status, start, end);
    };
    for (const Part& part : earlier_) {
      double work = part.work;
      [as<id<MTLCommandBuffer>>(part.buffer) addCompletedHandler:^(id<MTLCommandBuffer> ended) {
        part_ended(ended, work);
      }];
      [as<id<MTLCommandBuffer>>(part.buffer) commit];
    }
    double work = known_work();
    [buffer addCompletedHandler:^(id<MTLCommandBuffer> ended) {
      part_ended(ended, work);
      std::vector<Completion> completions;
      std::vector<std::shared_ptr<Buffer>> workspaces;
      Status status;
      {
        std::lock_guard lock(shared->mutex);
        status = shared->status;
        shared->state = status.ok() ? State::completed : State::failed;
        completions.swap(shared->completions);
        workspaces.swap(shared->workspaces);
        shared->announced = completions.empty();
      }
      shared->changed.notify_all();
      workspaces.clear();
      trace::end("commands", shared->name, shared->trace_id);
      if (completions.empty()) return;
      // Not here: the device, or whoever waits for it, would stand still meanwhile.
      call_back([shared, completions = std::move(completions), status] {
        for (const Completion& completion : completions) completion(status);
        {
          std::lock_guard lock(shared->mutex);
          shared->announced = true;
        }
        shared->changed.notify_all();
      });
    }];
  }
  return {};
}

Status Commands::wait(double seconds) {
  MFA_TRY(refuse_wrapped("waits for it"));
  bool for_ever = seconds < 0 || seconds > 3e7;  // chrono's clocks overflow far above a year
  // Metal's own wait lets this thread do the work.
  if (for_ever && state() == State::committed)
    [as<id<MTLCommandBuffer>>(buffer_) waitUntilCompleted];
  std::unique_lock lock(shared_->mutex);
  if (shared_->state == State::encoding)
    return failure(Code::wrong_state, "commands were not committed yet");
  const bool ran = in_callback();  // completions are called one by one, after this one
  auto done = [this, ran] {
    return shared_->announced || (ran && shared_->state != State::committed);
  };
  if (for_ever)
    shared_->changed.wait(lock, done);
  else if (!shared_->changed.wait_for(lock, std::chrono::duration<double>(seconds), done))
    return failure(Code::timeout, "commands have not completed after %g s", seconds);
  return shared_->status;
}

}  // namespace mfa::host
