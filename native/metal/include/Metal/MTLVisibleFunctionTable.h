// SPDX-License-Identifier: MIT
// A table of functions that a kernel calls by index.
#pragma once

#import <Metal/MTLResource.h>

NS_ASSUME_NONNULL_BEGIN

@protocol MTLFunctionHandle;

MTL_EXPORT
@interface MTLVisibleFunctionTableDescriptor : NSObject <NSCopying> {
 @private
  NSUInteger _functionCount;
}
+ (MTLVisibleFunctionTableDescriptor*)visibleFunctionTableDescriptor;
@property(nonatomic) NSUInteger functionCount;
@end

/// Here a call through an entry that was not set, or whose function has another signature than the
/// call, does nothing and returns zero.
@protocol MTLVisibleFunctionTable <MTLResource>
- (void)setFunction:(nullable id<MTLFunctionHandle>)function atIndex:(NSUInteger)index;
- (void)setFunctions:(const id<MTLFunctionHandle> _Nullable[_Nonnull])functions
           withRange:(NSRange)range;
@end

NS_ASSUME_NONNULL_END
