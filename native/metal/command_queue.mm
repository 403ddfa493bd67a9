// SPDX-License-Identifier: MIT
// MTLCommandQueue over queue.h.
#import "metal/command_queue.h"

#include <memory>

#import "metal/command_buffer.h"
#import "metal/device.h"
#import "metal/queue.h"

using mfa::metal::Queue;

@implementation MFACommandQueue
@synthesize label = _label;

- (instancetype)initWithDevice:(MFADevice*)device capacity:(NSUInteger)capacity {
  if ((self = [super init])) {
    _device = [device retain];
    _queue = new std::shared_ptr<Queue>(std::make_shared<Queue>(capacity));
  }
  return self;
}

- (void)dealloc {
  (*_queue)->close();
  delete _queue;
  [_label release];
  [_device release];
  [super dealloc];
}

- (id<MTLDevice>)device {
  return _device;
}

- (id<MTLCommandBuffer>)commandBuffer {
  return [self commandBufferWithDescriptor:[[[MTLCommandBufferDescriptor alloc] init] autorelease]];
}

// Keeping a resource costs a few nanoseconds: it is done whatever the caller promises.
- (id<MTLCommandBuffer>)commandBufferWithUnretainedReferences {
  return [self commandBuffer];
}

- (id<MTLCommandBuffer>)commandBufferWithDescriptor:(MTLCommandBufferDescriptor*)descriptor {
  (*_queue)->wait_for_room();
  return [[[MFACommandBuffer alloc] initWithQueue:self
                                            state:*_queue
                                     errorOptions:[descriptor errorOptions]] autorelease];
}

@end
