// SPDX-License-Identifier: MIT
// Linear memory a kernel reads and writes.
#pragma once

#import <Metal/MTLResource.h>

NS_ASSUME_NONNULL_BEGIN

@protocol MTLBuffer <MTLResource>
@property(readonly) NSUInteger length;
/// Also valid for MTLStorageModePrivate on the CPU device, where all memory is shared.
- (void*)contents;
- (void)didModifyRange:(NSRange)range;
- (void)addDebugMarker:(NSString*)marker range:(NSRange)range;
- (void)removeAllDebugMarkers;
@property(readonly) MTLGPUAddress gpuAddress;
@end

NS_ASSUME_NONNULL_END
