// SPDX-License-Identifier: MIT
// MTLComputeCommandEncoder: bindings in, records out.
#pragma once

#import <Metal/MFAExtras.h>

#import "metal/encoder.h"

#include <memory>

#include "metal/bindings.h"

@interface MFAComputeEncoder : MFAEncoder <MTLComputeCommandEncoder, MFAEncoderExtras> {
 @private
  MTLDispatchType _dispatchType;
  std::shared_ptr<const mfa::metal::Kernel>* _kernel;
  mfa::metal::Bindings* _bindings;
}
- (instancetype)initWithCommandBuffer:(MFACommandBuffer*)buffer dispatchType:(MTLDispatchType)type;
@end
