// SPDX-License-Identifier: MIT
// The CPU as a MTLDevice.
#pragma once

#import <Metal/MFAExtras.h>
#import <Metal/Metal.h>

#include "jit/pipeline.h"
#include "metal/memory.h"

@interface MFADevice : NSObject <MTLDevice, MFADeviceExtras> {
 @private
  mfa::jit::Path _path;
  NSString* _name;
  mfa::metal::MemoryCounter* _allocated;
}
/// One of the two devices there are, never released: the fast one, or the width-1 reference.
+ (MFADevice*)deviceWithPath:(mfa::jit::Path)path;
- (mfa::jit::Path)path;
@end
