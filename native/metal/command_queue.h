// SPDX-License-Identifier: MIT
// MTLCommandQueue over queue.h.
#pragma once

#import <Metal/Metal.h>

#include <memory>

#include "metal/queue.h"

@class MFADevice;

@interface MFACommandQueue : NSObject <MTLCommandQueue> {
 @private
  MFADevice* _device;
  std::shared_ptr<mfa::metal::Queue>* _queue;
  NSString* _label;
}
@property(copy, atomic) NSString* label;
- (instancetype)initWithDevice:(MFADevice*)device capacity:(NSUInteger)capacity;
@end
