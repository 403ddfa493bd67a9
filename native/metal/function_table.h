// SPDX-License-Identifier: MIT
// Function handles and tables: numbers of a pipeline's linked functions (air/function_tables.h).
#pragma once

#import <Metal/Metal.h>

#include <memory>

#include "metal/kernel.h"
#include "metal/memory.h"

@class MFADevice;
@class MFAFunction;

@interface MFAFunctionHandle : NSObject <MTLFunctionHandle> {
 @public
  std::shared_ptr<const mfa::metal::Kernel>* kernel;  // whose linked function it is
  uint32_t number;                                    // 1 for the first

 @private
  MFAFunction* _function;
}
- (instancetype)initWithFunction:(MFAFunction*)function
                          number:(uint32_t)number
                          kernel:(std::shared_ptr<const mfa::metal::Kernel>)kernel;
@end

@interface MFAVisibleFunctionTable : NSObject <MTLVisibleFunctionTable> {
 @public
  std::shared_ptr<mfa::metal::Memory>* memory;
  std::shared_ptr<const mfa::metal::Kernel>* kernel;
  std::string* problem;  // what was wrong with an entry, or empty

 @private
  MFADevice* _device;
  NSString* _label;
}
@property(copy, atomic) NSString* label;
/// Nil if there is no memory for so many functions.
- (instancetype)initWithCount:(NSUInteger)count
                       kernel:(std::shared_ptr<const mfa::metal::Kernel>)kernel
                       device:(MFADevice*)device;
@end
