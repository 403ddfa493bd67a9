// SPDX-License-Identifier: MIT
// A function by name, with its constants.
#pragma once

#import <Metal/MTLFunctionConstantValues.h>

NS_ASSUME_NONNULL_BEGIN

typedef NS_OPTIONS(NSUInteger, MTLFunctionOptions) {
  MTLFunctionOptionNone = 0,
  MTLFunctionOptionCompileToBinary = 1 << 0,
};

MTL_EXPORT
@interface MTLFunctionDescriptor : NSObject <NSCopying> {
 @private
  NSString* _name;
  NSString* _specializedName;
  MTLFunctionConstantValues* _constantValues;
  MTLFunctionOptions _options;
}
+ (MTLFunctionDescriptor*)functionDescriptor;
@property(nullable, copy, nonatomic) NSString* name;
@property(nullable, copy, nonatomic) NSString* specializedName;
@property(nullable, copy, nonatomic) MTLFunctionConstantValues* constantValues;
@property(nonatomic) MTLFunctionOptions options;
@end

NS_ASSUME_NONNULL_END
