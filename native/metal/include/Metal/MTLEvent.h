// SPDX-License-Identifier: MIT
// Counters that order command buffers of different queues, and of the CPU.
#pragma once

#import <Metal/MTLDefines.h>

NS_ASSUME_NONNULL_BEGIN

@protocol MTLDevice;
@protocol MTLSharedEvent;

@protocol MTLEvent <NSObject>
@property(nullable, readonly) id<MTLDevice> device;
@property(nullable, copy, atomic) NSString* label;
@end

/// Calls blocks when a shared event reaches a value, on a thread of its own.
MTL_EXPORT
@interface MTLSharedEventListener : NSObject
- (instancetype)init;
+ (MTLSharedEventListener*)sharedListener;
@end

typedef void (^MTLSharedEventNotificationBlock)(id<MTLSharedEvent>, uint64_t value);

@protocol MTLSharedEvent <MTLEvent>
- (void)notifyListener:(MTLSharedEventListener*)listener
               atValue:(uint64_t)value
                 block:(MTLSharedEventNotificationBlock)block;
/// Blocks until the value is reached (YES) or the time is over (NO).
- (BOOL)waitUntilSignaledValue:(uint64_t)value timeoutMS:(uint64_t)milliseconds;
@property(readwrite) uint64_t signaledValue;
@end

NS_ASSUME_NONNULL_END
