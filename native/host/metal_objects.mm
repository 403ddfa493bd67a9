// SPDX-License-Identifier: MIT
// Reference counts of Objective-C objects held by C++; NSError -> Status.
#include "host/metal_objects.h"

namespace mfa::host {

void* retain_object(void* object) { return (void*)[(id)object retain]; }

void release_object(void* object) {
  // Releasing may autorelease inner objects on a thread that has no pool.
  @autoreleasepool {
    [(id)object release];
  }
}

Status status_of(NSError* error, Code fallback) {
  if (error == nil) return {fallback, "no reason was given"};
  Code code = fallback;
  if ([[error domain] isEqualToString:MTLLibraryErrorDomain]) {
    switch ([error code]) {
      case MTLLibraryErrorUnsupported:
        code = Code::unsupported;
        break;
      case MTLLibraryErrorCompileFailure:
        code = Code::compile;
        break;
      case MTLLibraryErrorFunctionNotFound:
      case MTLLibraryErrorFileNotFound:
        code = Code::not_found;
        break;
      default:
        break;
    }
  } else if ([[error domain] isEqualToString:MTLCommandBufferErrorDomain] &&
             [error code] == MTLCommandBufferErrorOutOfMemory) {
    code = Code::out_of_memory;
  }
  return {code, text([error localizedDescription])};
}

}  // namespace mfa::host
