// SPDX-License-Identifier: MIT
// What SDKs before macOS 13 do not declare yet -> declared as the later ones do. Nothing is
// linked; what runs needs macOS 13.
#pragma once

#import <Metal/Metal.h>

/// -[MTLBuffer gpuAddress]
@protocol MFAAddressed
- (uint64_t)gpuAddress;
@end

#if defined(__MAC_12_0) && !defined(__MAC_13_0)

typedef NS_ENUM(NSInteger, MTLBindingType) {
  MTLBindingTypeBuffer = 0,
  MTLBindingTypeThreadgroupMemory = 1,
};

@protocol MTLBinding <NSObject>
@property(readonly) NSString* name;
@property(readonly) MTLBindingType type;
@property(readonly) MTLArgumentAccess access;
@property(readonly) NSUInteger index;
@property(readonly, getter=isUsed) BOOL used;
@property(readonly, getter=isArgument) BOOL argument;
@end

@protocol MTLBufferBinding <MTLBinding>
@property(readonly) NSUInteger bufferAlignment;
@property(readonly) NSUInteger bufferDataSize;
@property(readonly) MTLDataType bufferDataType;
@end

@protocol MTLThreadgroupBinding <MTLBinding>
@property(readonly) NSUInteger threadgroupMemoryAlignment;
@property(readonly) NSUInteger threadgroupMemoryDataSize;
@end

@interface MTLComputePipelineReflection (Newer)
@property(readonly) NSArray<id<MTLBinding>>* bindings;
@end

#endif
