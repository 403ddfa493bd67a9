// SPDX-License-Identifier: MIT
// A function of one pipeline, as an entry of its function tables.
#pragma once

#import <Metal/MTLLibrary.h>

NS_ASSUME_NONNULL_BEGIN

@protocol MTLFunctionHandle <NSObject>
@property(readonly) MTLFunctionType functionType;
@property(readonly) NSString* name;
@property(readonly) id<MTLDevice> device;
@end

NS_ASSUME_NONNULL_END
