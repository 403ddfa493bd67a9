// SPDX-License-Identifier: MIT
// MTLBuffer over memory.h.
#pragma once

#import <Metal/Metal.h>

#include <memory>

#include "metal/memory.h"

@class MFADevice;

@interface MFABuffer : NSObject <MTLBuffer> {
 @public
  std::shared_ptr<mfa::metal::Memory>*
      memory;  // never null; GCC's run time constructs no C++ ivars

 @private
  MTLResourceOptions _options;
  MFADevice* _device;
  NSString* _label;
}
@property(copy, atomic) NSString* label;
- (instancetype)initWithMemory:(std::shared_ptr<mfa::metal::Memory>)memory
                       options:(MTLResourceOptions)options
                        device:(MFADevice*)device;
@end

/// Null for nil and for an object of another implementation.
const std::shared_ptr<mfa::metal::Memory>* MFAMemory(id<MTLBuffer> buffer);
