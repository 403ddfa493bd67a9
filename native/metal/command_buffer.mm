// SPDX-License-Identifier: MIT
// MTLCommandBuffer over submission.h.
#import "metal/command_buffer.h"

#include <utility>
#include <vector>

#import "metal/blit_encoder.h"
#import "metal/blocks.h"
#import "metal/command_queue.h"
#import "metal/compute_encoder.h"
#import "metal/errors.h"
#import "metal/events.h"

using mfa::metal::Fault;
using mfa::metal::Submission;

@implementation MFACommandBuffer
@synthesize label = _label;

- (instancetype)initWithQueue:(MFACommandQueue*)queue
                        state:(std::shared_ptr<mfa::metal::Queue>)state
                 errorOptions:(MTLCommandBufferErrorOption)options {
  if ((self = [super init])) {
    _queue = [queue retain];
    _submission = new std::shared_ptr<Submission>(std::make_shared<Submission>(std::move(state)));
    _scheduled = new std::vector<std::shared_ptr<void>>;
    _completed = new std::vector<std::shared_ptr<void>>;
    _errorOptions = options;
  }
  return self;
}

- (void)dealloc {
  (*_submission)->abandon();
  delete _submission;
  delete _scheduled;
  delete _completed;
  [_label release];
  [_queue release];
  [super dealloc];
}

- (const std::shared_ptr<Submission>&)submission {
  return *_submission;
}

- (id<MTLDevice>)device {
  return [_queue device];
}

- (id<MTLCommandQueue>)commandQueue {
  return _queue;
}

- (BOOL)retainedReferences {
  return YES;
}

- (MTLCommandBufferErrorOption)errorOptions {
  return _errorOptions;
}

- (CFTimeInterval)kernelStartTime {
  return (*_submission)->times().kernel_start;
}

- (CFTimeInterval)kernelEndTime {
  return (*_submission)->times().kernel_end;
}

- (CFTimeInterval)GPUStartTime {
  return (*_submission)->times().start;
}

- (CFTimeInterval)GPUEndTime {
  return (*_submission)->times().end;
}

- (MTLCommandBufferStatus)status {
  return static_cast<MTLCommandBufferStatus>((*_submission)->status());
}

- (NSError*)error {
  if ([self status] != MTLCommandBufferStatusError) return nil;
  return MFACommandBufferFailure(static_cast<MTLCommandBufferError>((*_submission)->fault()),
                                 (*_submission)->message());
}

- (void)enqueue {
  (*_submission)->enqueue();
}

/// A handler for the submission that gives the caller's block this command buffer.
- (Submission::Handler)handlerFor:(std::shared_ptr<void>)block {
  auto held = MFAHold(self);
  return [held, block] {
    MFAGuard([&] {
      reinterpret_cast<MTLCommandBufferHandler>(block.get())(
          static_cast<MFACommandBuffer*>(held.get()));
    });
  };
}

/// False if it was committed before. Afterwards only the submission is left to commit.
- (BOOL)finishEncoding {
  Submission& submission = **_submission;
  if (!submission.open()) return NO;
  if (_encoding) {
    submission.fail(Fault::invalid_resource,
                    "the command buffer was committed before -endEncoding of its last encoder");
  }
  // Only now: before, the blocks' hold on this object would keep it alive for ever.
  for (auto& block : *_scheduled) submission.on_scheduled([self handlerFor:block]);
  for (auto& block : *_completed) submission.on_completed([self handlerFor:block]);
  _scheduled->clear();
  _completed->clear();
  return YES;
}

- (void)commit {
  if ([self finishEncoding]) (*_submission)->commit();
}

- (void)mfaCommitAndWait {
  if ([self finishEncoding]) (*_submission)->run_to_end();
}

- (void)addScheduledHandler:(MTLCommandBufferHandler)block {
  if (!block) return;
  if ((*_submission)->open()) {
    _scheduled->push_back(MFAHoldBlock(block));
  } else {
    (*_submission)->on_scheduled([self handlerFor:MFAHoldBlock(block)]);
  }
}

- (void)addCompletedHandler:(MTLCommandBufferHandler)block {
  if (!block) return;
  if ((*_submission)->open()) {
    _completed->push_back(MFAHoldBlock(block));
  } else {
    (*_submission)->on_completed([self handlerFor:MFAHoldBlock(block)]);
  }
}

- (void)waitUntilScheduled {
  (*_submission)->wait_until_scheduled();
}

- (void)waitUntilCompleted {
  (*_submission)->wait_until_completed();
}

/// False, and the reason is kept, if nothing more can be encoded now.
- (BOOL)mayEncode:(const char*)what {
  Submission& submission = **_submission;
  if (!submission.open()) return NO;
  if (_encoding) {
    submission.fail(Fault::invalid_resource,
                    std::string(what) + " before -endEncoding of the encoder made before it");
    return NO;
  }
  return YES;
}

- (id<MTLComputeCommandEncoder>)computeCommandEncoder {
  return [self computeCommandEncoderWithDispatchType:MTLDispatchTypeSerial];
}

- (id<MTLComputeCommandEncoder>)computeCommandEncoderWithDispatchType:(MTLDispatchType)type {
  if (![self mayEncode:"-computeCommandEncoder"]) return nil;
  _encoding = YES;
  return [[[MFAComputeEncoder alloc] initWithCommandBuffer:self dispatchType:type] autorelease];
}

- (id<MTLBlitCommandEncoder>)blitCommandEncoder {
  if (![self mayEncode:"-blitCommandEncoder"]) return nil;
  _encoding = YES;
  return [[[MFABlitEncoder alloc] initWithCommandBuffer:self] autorelease];
}

- (void)encoderEnded {
  _encoding = NO;
}

- (void)encodeWaitForEvent:(id<MTLEvent>)event value:(uint64_t)value {
  if ([self mayEncode:"-encodeWaitForEvent:value:"] && event) {
    (*_submission)->commands().wait([static_cast<MFAEvent*>(event) event], value);
  }
}

- (void)encodeSignalEvent:(id<MTLEvent>)event value:(uint64_t)value {
  if ([self mayEncode:"-encodeSignalEvent:value:"] && event) {
    (*_submission)->commands().signal([static_cast<MFAEvent*>(event) event], value);
  }
}

// Names what is encoded, in messages of failures and in traces.
- (void)pushDebugGroup:(NSString*)string {
  const char* name = [string UTF8String];
  if ((*_submission)->open()) (*_submission)->commands().push_group(name ? name : "");
}

- (void)popDebugGroup {
  if ((*_submission)->open()) (*_submission)->commands().pop_group();
}

@end
