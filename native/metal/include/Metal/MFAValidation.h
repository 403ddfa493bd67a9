// SPDX-License-Identifier: MIT
// Checks a dispatch while it is encoded. Ours, not Apple's: ask -respondsToSelector: first.
#pragma once

#import <Metal/MTLTypes.h>

NS_ASSUME_NONNULL_BEGIN

/// Compute encoders of the CPU device conform.
@protocol MFADispatchValidation <NSObject>
/// The error a dispatch with the bindings made so far would end in; nil if it would run. Nothing is
/// encoded. The message names the kernel, the argument, its slot and what was expected.
- (nullable NSError *)mfaErrorForDispatchThreadgroups:(MTLSize)threadgroupsPerGrid
                                threadsPerThreadgroup:(MTLSize)threadsPerThreadgroup;
- (nullable NSError *)mfaErrorForDispatchThreads:(MTLSize)threadsPerGrid
                           threadsPerThreadgroup:(MTLSize)threadsPerThreadgroup;
/// The first error of anything encoded so far; the command buffer will end in it.
- (nullable NSError *)mfaEncodingError;
@end

NS_ASSUME_NONNULL_END
