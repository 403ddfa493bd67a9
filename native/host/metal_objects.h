// SPDX-License-Identifier: MIT
// C++ holders -> Metal's types, and NSError -> Status. For Objective-C++ sources of this folder
// only.
#pragma once

#import <Metal/Metal.h>

#include <string>

#include "host/newer_metal.h"
#include "host/object.h"
#include "host/status.h"

/// What our CPU device tells beyond Metal's protocols. Apple's objects do not respond to these, so
/// each is asked for with -respondsToSelector: first.
@protocol MFAPipelineExtras <NSObject>
- (NSUInteger)mfaCodeBytes;
@end
@protocol MFADeviceExtras <NSObject>
- (NSString*)mfaDeviceName;
- (NSUInteger)mfaWorkers;
- (id<MTLDevice>)mfaValidatingDevice;
- (NSUInteger)mfaCacheSize;
@end
@protocol MFAFunctionExtras <NSObject>
- (NSArray<id<MTLBinding>>*)mfaBindings;
- (void)mfaGetVersions:(uint16_t[4])versions;
@end
@protocol MFACommandBufferExtras <NSObject>
- (void)mfaCommitAndWait;
@end
@protocol MFAEncoderExtras <NSObject>
- (NSError*)mfaErrorForDispatchThreadgroups:(MTLSize)threadgroups
                      threadsPerThreadgroup:(MTLSize)threads;
- (NSError*)mfaErrorForDispatchThreads:(MTLSize)grid threadsPerThreadgroup:(MTLSize)threads;
@end

namespace mfa::host {

/// `as<id<MTLBuffer>>(object)`.
template <class T>
T as(const Object& object) {
  return (T)object.get();
}

template <class T>
Object adopt(T object) {
  return Object::adopt((void*)object);
}

inline std::string text(NSString* string) {
  const char* bytes = string ? [string UTF8String] : nullptr;
  return bytes ? bytes : "";
}

inline NSString* string(const std::string& text) {
  return [NSString stringWithUTF8String:text.c_str()];
}

/// The error's description under the code that its domain and number stand for, else `fallback`.
Status status_of(NSError* error, Code fallback);

}  // namespace mfa::host
