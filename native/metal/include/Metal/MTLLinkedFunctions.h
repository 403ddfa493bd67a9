// SPDX-License-Identifier: MIT
// The functions a pipeline may call through function tables.
#pragma once

#import <Metal/MTLLibrary.h>

NS_ASSUME_NONNULL_BEGIN

MTL_EXPORT
@interface MTLLinkedFunctions : NSObject <NSCopying> {
 @private
  NSArray<id<MTLFunction>>*_functions, *_privateFunctions;
}
+ (MTLLinkedFunctions*)linkedFunctions;
/// Visible functions; functionHandleWithFunction: of the pipeline gives a handle for each.
@property(readwrite, nonatomic, copy, nullable) NSArray<id<MTLFunction>>* functions;
/// Visible functions for which there are no handles.
@property(readwrite, nonatomic, copy, nullable) NSArray<id<MTLFunction>>* privateFunctions;
@end

NS_ASSUME_NONNULL_END
