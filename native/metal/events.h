// SPDX-License-Identifier: MIT
// MTLEvent, MTLSharedEvent and MTLFence.
#pragma once

#import <Metal/Metal.h>

#include <memory>

#include "metal/event.h"

@class MFADevice;

/// Both kinds: an event of one device costs nothing less than a shared one here.
@interface MFAEvent : NSObject <MTLSharedEvent> {
 @private
  MFADevice* _device;
  std::shared_ptr<mfa::metal::Event>* _event;
  NSString* _label;
}
@property(copy, atomic) NSString* label;
- (instancetype)initWithDevice:(MFADevice*)device;
- (std::shared_ptr<mfa::metal::Event>)event;
@end

/// Commands of a queue run in order: waiting for a fence is always over already.
@interface MFAFence : NSObject <MTLFence> {
 @private
  MFADevice* _device;
  NSString* _label;
}
@property(copy, atomic) NSString* label;
- (instancetype)initWithDevice:(MFADevice*)device;
@end
