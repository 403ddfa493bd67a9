// SPDX-License-Identifier: MIT
// What our devices tell beyond Metal's protocols. Ask -respondsToSelector: first: Apple's do not.
#pragma once

#import <Metal/MTLArgument.h>

NS_ASSUME_NONNULL_BEGIN

@protocol MTLDevice;

@protocol MFADeviceExtras <NSObject>
/// "cpu", "reference" for the device that runs one lane at a time, "validate" for the one that
/// checks what kernels do with memory and barriers.
- (NSString*)mfaDeviceName;
/// The last of these, which is not listed.
- (id<MTLDevice>)mfaValidatingDevice;
/// Threads that run threadgroups.
- (NSUInteger)mfaWorkers;
/// Bytes of the last-level cache; 0 where the machine does not tell.
- (NSUInteger)mfaCacheSize;
@end

@protocol MFAFunctionExtras <NSObject>
/// Arguments as compiled, before any function constant is bound.
- (NSArray<id<MTLBinding>>*)mfaBindings;
/// AIR's version and the language's: major, minor, major, minor.
- (void)mfaGetVersions:(uint16_t[_Nonnull 4])versions;
@end

@protocol MFAPipelineExtras <NSObject>
/// Bytes of machine code made for the pipeline so far.
- (NSUInteger)mfaCodeBytes;
@end

@protocol MFACommandBufferExtras <NSObject>
/// -commit and -waitUntilCompleted, without waking a thread in between: the caller does the work.
- (void)mfaCommitAndWait;
@end

/// Checks a dispatch while it is encoded.
@protocol MFAEncoderExtras <NSObject>
/// The error a dispatch with the bindings made so far would end in; nil if it would run. Nothing is
/// encoded. The message names the kernel, the argument, its slot and what was expected.
- (nullable NSError*)mfaErrorForDispatchThreadgroups:(MTLSize)threadgroupsPerGrid
                               threadsPerThreadgroup:(MTLSize)threadsPerThreadgroup;
- (nullable NSError*)mfaErrorForDispatchThreads:(MTLSize)threadsPerGrid
                          threadsPerThreadgroup:(MTLSize)threadsPerThreadgroup;
/// The first error of anything encoded so far; the command buffer will end in it.
- (nullable NSError*)mfaEncodingError;
@end

NS_ASSUME_NONNULL_END
