// SPDX-License-Identifier: MIT
// MTLLibrary and MTLFunction over air/metallib.h.
#pragma once

#import <Metal/MFAExtras.h>
#import <Metal/Metal.h>

#include <memory>
#include <string>
#include <vector>

#include "air/metallib.h"
#include "air/specialize.h"

@class MFADevice;

@interface MFALibrary : NSObject <MTLLibrary> {
 @private
  MFADevice* _device;
  std::shared_ptr<const mfa::air::Metallib>* _metallib;
  NSString* _label;
}
@property(copy, atomic) NSString* label;
/// Nil, with an error, if the bytes are not a metallib.
+ (MFALibrary*)newLibraryWithBytes:(std::vector<uint8_t>)bytes
                            device:(MFADevice*)device
                             error:(NSError**)error;
@end

@interface MFAFunction : NSObject <MTLFunction, MFAFunctionExtras> {
 @private
  MFALibrary* _library;
  std::shared_ptr<const mfa::air::Metallib>* _metallib;
  const mfa::air::FunctionRecord* _record;
  mfa::air::ConstantValues* _values;
  NSString *_label, *_specializedName;
}
@property(copy, atomic) NSString* label;
- (std::shared_ptr<const mfa::air::Metallib>)metallib;
- (const mfa::air::FunctionRecord*)record;
- (const mfa::air::ConstantValues*)constantValues;
@end
