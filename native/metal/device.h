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
  NSString *_name, *_deviceName;
  mfa::metal::MemoryCounter* _allocated;
}
/// One of the devices there are, never released: the fast one, the width-1 reference, and the one
/// that checks accesses. With MFA_VALIDATE=1 the first checks too.
+ (MFADevice*)deviceWithPath:(mfa::jit::Path)path;
- (mfa::jit::Path)path;
@end
