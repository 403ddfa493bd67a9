// SPDX-License-Identifier: MIT
// MTLComputePipelineState over kernel.h.
#pragma once

#import <Metal/MFAExtras.h>
#import <Metal/Metal.h>

#include <memory>

#include "metal/kernel.h"

@class MFADevice;

@interface MFAPipelineState : NSObject <MTLComputePipelineState, MFAPipelineExtras> {
 @public
  std::shared_ptr<const mfa::metal::Kernel>* kernel;  // never null

 @private
  MFADevice* _device;
  NSArray* _linked;  // MFAFunction: those there are handles for
  NSString* _label;
}
/// Compiles. Nil, with an error, if the function cannot run on the device.
+ (MFAPipelineState*)newStateWithDescriptor:(MTLComputePipelineDescriptor*)descriptor
                                     device:(MFADevice*)device
                                      error:(NSError**)error;
- (MTLComputePipelineReflection*)reflection;
@end

/// Null for nil and for an object of another implementation.
const std::shared_ptr<const mfa::metal::Kernel>* MFAKernel(id<MTLComputePipelineState> state);
