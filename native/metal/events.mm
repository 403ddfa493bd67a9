// SPDX-License-Identifier: MIT
// MTLEvent, MTLSharedEvent and MTLFence.
#import "metal/events.h"

#import "metal/background.h"
#import "metal/blocks.h"
#import "metal/device.h"

using mfa::metal::Event;

@implementation MFAEvent
@synthesize label = _label;

- (instancetype)initWithDevice:(MFADevice*)device {
  if ((self = [super init])) {
    _device = [device retain];
    _event = new std::shared_ptr<Event>(std::make_shared<Event>());
  }
  return self;
}

- (void)dealloc {
  delete _event;
  [_label release];
  [_device release];
  [super dealloc];
}

- (id<MTLDevice>)device {
  return _device;
}

- (std::shared_ptr<Event>)event {
  return *_event;
}

- (uint64_t)signaledValue {
  return (*_event)->value();
}

- (void)setSignaledValue:(uint64_t)value {
  (*_event)->signal(value);
}

- (BOOL)waitUntilSignaledValue:(uint64_t)value timeoutMS:(uint64_t)milliseconds {
  const auto longest = static_cast<uint64_t>(INT64_MAX / 1000000);
  return (*_event)->wait(value, std::chrono::milliseconds(std::min(milliseconds, longest)));
}

- (void)notifyListener:(MTLSharedEventListener*)listener
               atValue:(uint64_t)value
                 block:(MTLSharedEventNotificationBlock)block {
  if (!listener || !block) return;
  auto held = MFAHold(self), held_block = MFAHoldBlock(block);
  (*_event)->notify(value, [held, held_block](uint64_t reached) {
    mfa::metal::run_for_listeners([held, held_block, reached] {
      MFAGuard([&] {
        reinterpret_cast<MTLSharedEventNotificationBlock>(held_block.get())(
            static_cast<MFAEvent*>(held.get()), reached);
      });
    });
  });
}

@end

@implementation MTLSharedEventListener

- (instancetype)init {
  return [super init];
}

+ (MTLSharedEventListener*)sharedListener {
  static MTLSharedEventListener* const listener = [[MTLSharedEventListener alloc] init];
  return listener;
}

@end

@implementation MFAFence
@synthesize label = _label;

- (instancetype)initWithDevice:(MFADevice*)device {
  if ((self = [super init])) _device = [device retain];
  return self;
}

- (void)dealloc {
  [_label release];
  [_device release];
  [super dealloc];
}

- (id<MTLDevice>)device {
  return _device;
}

@end
