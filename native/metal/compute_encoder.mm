// SPDX-License-Identifier: MIT
// MTLComputeCommandEncoder: bindings in, records out.
#import "metal/compute_encoder.h"

#import "metal/buffer.h"
#import "metal/errors.h"
#import "metal/function_table.h"
#import "metal/pipeline_state.h"

using mfa::metal::Bindings;
using mfa::metal::Grid;
using mfa::metal::Kernel;

// Metal's limit for bytes that travel in the command stream.
static const NSUInteger max_inline_bytes = 4096;

@implementation MFAComputeEncoder

- (instancetype)initWithCommandBuffer:(MFACommandBuffer*)buffer dispatchType:(MTLDispatchType)type {
  if ((self = [super initWithCommandBuffer:buffer])) {
    _dispatchType = type;
    _submission->commands().set_concurrent(type == MTLDispatchTypeConcurrent);
    _kernel = new std::shared_ptr<const Kernel>;
    _bindings = new Bindings;
  }
  return self;
}

- (void)dealloc {
  delete _kernel;
  delete _bindings;
  [super dealloc];
}

- (MTLDispatchType)dispatchType {
  return _dispatchType;
}

static std::string slot_message(const char* method, NSUInteger index) {
  return std::string(method) + ": index " + std::to_string(index) + "; expected 0 to " +
         std::to_string(MFA_MAX_BUFFERS - 1);
}

- (void)setComputePipelineState:(id<MTLComputePipelineState>)state {
  if (!MFARecording(self)) return;
  const std::shared_ptr<const Kernel>* kernel = MFAKernel(state);
  if (!kernel) {
    [self fail:"-setComputePipelineState: expected a pipeline state of this device"];
    return;
  }
  *_kernel = *kernel;
  _submission->commands().keep(*kernel);
}

- (void)setBytes:(const void*)bytes length:(NSUInteger)length atIndex:(NSUInteger)index {
  if (!MFARecording(self)) return;
  if (index >= MFA_MAX_BUFFERS) return [self fail:slot_message("-setBytes:length:atIndex:", index)];
  if (length > max_inline_bytes || !bytes) {
    return [self fail:"-setBytes:length:atIndex: " + std::to_string(length) + " bytes at index " +
                      std::to_string(index) + "; expected at most " +
                      std::to_string(max_inline_bytes)];
  }
  _bindings->buffers[index] = {_submission->commands().copy_bytes(bytes, length), length, 0,
                               nullptr};
}

- (void)setBuffer:(id<MTLBuffer>)buffer offset:(NSUInteger)offset atIndex:(NSUInteger)index {
  if (!MFARecording(self)) return;
  if (index >= MFA_MAX_BUFFERS)
    return [self fail:slot_message("-setBuffer:offset:atIndex:", index)];
  Bindings::Buffer& binding = _bindings->buffers[index];
  if (!buffer) {
    binding = {};
    return;
  }
  const auto* memory = MFAMemory(buffer);
  if (!memory) return [self fail:"-setBuffer:offset:atIndex: expected a buffer of this device"];
  _submission->commands().keep(*memory);
  binding = {(*memory)->data(), (*memory)->length(), offset, nullptr};
}

- (void)setVisibleFunctionTable:(id<MTLVisibleFunctionTable>)functions
                  atBufferIndex:(NSUInteger)index {
  if (!MFARecording(self)) return;
  static const char method[] = "-setVisibleFunctionTable:atBufferIndex:";
  if (index >= MFA_MAX_BUFFERS) return [self fail:slot_message(method, index)];
  _bindings->buffers[index] = {};
  if (!functions) return;
  if (![static_cast<id>(functions) isKindOfClass:[MFAVisibleFunctionTable class]]) {
    return [self fail:std::string(method) + " expected a table of this device"];
  }
  auto* table = static_cast<MFAVisibleFunctionTable*>(functions);
  if (!table->problem->empty()) return [self fail:*table->problem];
  const auto& memory = *table->memory;
  _submission->commands().keep(memory);
  _bindings->buffers[index] = {memory->data(), memory->length(), 0, table->kernel->get()};
}

- (void)setVisibleFunctionTables:(const id<MTLVisibleFunctionTable>*)tables
                 withBufferRange:(NSRange)range {
  for (NSUInteger i = 0; i < range.length; ++i) {
    [self setVisibleFunctionTable:tables[i] atBufferIndex:range.location + i];
    if (range.location + i >= MFA_MAX_BUFFERS) return;
  }
}

- (void)setBufferOffset:(NSUInteger)offset atIndex:(NSUInteger)index {
  if (!MFARecording(self)) return;
  if (index >= MFA_MAX_BUFFERS) {
    return [self fail:slot_message("-setBufferOffset:atIndex:", index)];
  }
  if (!_bindings->buffers[index].data) {
    return [self
        fail:"-setBufferOffset:atIndex: no buffer is bound at index " + std::to_string(index)];
  }
  _bindings->buffers[index].offset = offset;
}

- (void)setBuffers:(const id<MTLBuffer>*)buffers
           offsets:(const NSUInteger*)offsets
         withRange:(NSRange)range {
  for (NSUInteger i = 0; i < range.length; ++i) {
    [self setBuffer:buffers[i] offset:offsets[i] atIndex:range.location + i];
    if (range.location + i >= MFA_MAX_BUFFERS) return;
  }
}

- (void)setThreadgroupMemoryLength:(NSUInteger)length atIndex:(NSUInteger)index {
  if (!MFARecording(self)) return;
  if (index >= MFA_MAX_BUFFERS) {
    return [self fail:slot_message("-setThreadgroupMemoryLength:atIndex:", index)];
  }
  if (length % 16) {
    return [self fail:"-setThreadgroupMemoryLength:atIndex: " + std::to_string(length) +
                      " bytes at index " + std::to_string(index) + "; expected a multiple of 16"];
  }
  // Anything more is refused when a kernel is to use it; this keeps sums from overflowing.
  _bindings->threadgroup_lengths[index] = std::min<NSUInteger>(length, UINT32_MAX);
}

static Grid grid_of(MTLSize size, MTLSize group, bool threads) {
  return {{size.width, size.height, size.depth}, {group.width, group.height, group.depth}, threads};
}

static const char no_pipeline[] = "a dispatch without -setComputePipelineState: before it";

- (void)encode:(const Grid&)grid {
  if (!MFARecording(self)) return;
  if (!*_kernel) return [self fail:no_pipeline];
  auto encoded = _submission->commands().dispatch(**_kernel, *_bindings, grid);
  if (!encoded) [self fail:encoded.error()];
}

- (void)dispatchThreadgroups:(MTLSize)threadgroups threadsPerThreadgroup:(MTLSize)threads {
  [self encode:grid_of(threadgroups, threads, false)];
}

- (void)dispatchThreads:(MTLSize)threads threadsPerThreadgroup:(MTLSize)threadsPerThreadgroup {
  [self encode:grid_of(threads, threadsPerThreadgroup, true)];
}

- (void)dispatchThreadgroupsWithIndirectBuffer:(id<MTLBuffer>)indirectBuffer
                          indirectBufferOffset:(NSUInteger)offset
                         threadsPerThreadgroup:(MTLSize)threads {
  if (!MFARecording(self)) return;
  if (!*_kernel) return [self fail:no_pipeline];
  const auto* memory = MFAMemory(indirectBuffer);
  const size_t size = sizeof(MTLDispatchThreadgroupsIndirectArguments);
  if (!memory || (*memory)->length() < size || offset > (*memory)->length() - size || offset % 4) {
    return [self fail:"-dispatchThreadgroupsWithIndirectBuffer: expected a buffer with " +
                      std::to_string(size) +
                      " bytes at an offset that is a multiple of 4, got offset " +
                      std::to_string(offset)];
  }
  auto& commands = _submission->commands();
  commands.keep(*memory);
  const uint64_t group[3] = {threads.width, threads.height, threads.depth};
  const auto* counts = reinterpret_cast<const uint32_t*>((*memory)->data() + offset);
  auto encoded = commands.dispatch_indirect(**_kernel, *_bindings, counts, group);
  if (!encoded) [self fail:encoded.error()];
}

// Encoders run one after the other, each seeing all that came before: fences ask for nothing more.
- (void)updateFence:(id<MTLFence>)fence {
  (void)fence;
}

- (void)waitForFence:(id<MTLFence>)fence {
  (void)fence;
}

- (void)memoryBarrierWithScope:(MTLBarrierScope)scope {
  (void)scope;
  if (MFARecording(self)) _submission->commands().barrier();
}

- (void)memoryBarrierWithResources:(const id<MTLResource>*)resources count:(NSUInteger)count {
  (void)resources;
  (void)count;
  if (MFARecording(self)) _submission->commands().barrier();
}

// Buffers reached only through addresses in other buffers have to live until the end as well.
- (void)useResource:(id<MTLResource>)resource usage:(MTLResourceUsage)usage {
  (void)usage;
  if (!MFARecording(self)) return;
  if (const auto* memory = MFAMemory(static_cast<id<MTLBuffer>>(resource))) {
    _submission->commands().keep(*memory);
  }
}

- (void)useResources:(const id<MTLResource>*)resources
               count:(NSUInteger)count
               usage:(MTLResourceUsage)usage {
  for (NSUInteger i = 0; i < count; ++i) [self useResource:resources[i] usage:usage];
}

- (NSError*)errorFor:(const Grid&)grid {
  if (NSError* earlier = [self mfaEncodingError]) return earlier;
  std::string message = no_pipeline;
  if (*_kernel) {
    auto checked = mfa::metal::check_grid(**_kernel, grid);
    if (checked) checked = mfa::metal::check_bindings(**_kernel, *_bindings);
    if (checked) return nil;
    message = checked.error();
  }
  return MFACommandBufferFailure(MTLCommandBufferErrorInvalidResource, message);
}

- (NSError*)mfaErrorForDispatchThreadgroups:(MTLSize)threadgroups
                      threadsPerThreadgroup:(MTLSize)threads {
  return [self errorFor:grid_of(threadgroups, threads, false)];
}

- (NSError*)mfaErrorForDispatchThreads:(MTLSize)threads
                 threadsPerThreadgroup:(MTLSize)threadsPerThreadgroup {
  return [self errorFor:grid_of(threads, threadsPerThreadgroup, true)];
}

@end
