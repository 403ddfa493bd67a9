// SPDX-License-Identifier: MIT
// What the tests of the Metal API share: devices, kernels from source, a failed check per line.
#pragma once

#import <Metal/MFAExtras.h>
#import <Metal/Metal.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

inline int failed_checks = 0;

#define CHECK(condition)                                                                        \
  ((condition) ? true                                                                           \
               : (fprintf(stderr, "%s:%d: CHECK(%s) failed\n", __FILE__, __LINE__, #condition), \
                  ++failed_checks, false))

/// For what the rest of a test cannot do without.
#define REQUIRE(condition)          \
  do {                              \
    if (!CHECK(condition)) exit(1); \
  } while (0)

inline std::string text(NSError* error) {
  return error ? [[error localizedDescription] UTF8String] : "";
}

/// True if the error's message has the words in it.
inline bool says(NSError* error, const char* words) {
  if (text(error).find(words) != std::string::npos) return true;
  fprintf(stderr, "expected \"%s\" in: %s\n", words, text(error).c_str());
  return false;
}

inline id<MTLLibrary> library_of(id<MTLDevice> device, const char* source) {
  NSError* error = nil;
  id<MTLLibrary> library = [device newLibraryWithSource:[NSString stringWithUTF8String:source]
                                                options:nil
                                                  error:&error];
  if (!library) fprintf(stderr, "%s\n", text(error).c_str());
  REQUIRE(library);
  return [static_cast<id>(library) autorelease];
}

/// The only function of the source, or the one with the name.
inline id<MTLComputePipelineState> pipeline_of(id<MTLDevice> device, const char* source,
                                               const char* name,
                                               MTLFunctionConstantValues* values = nil) {
  NSError* error = nil;
  if (!values) values = [[[MTLFunctionConstantValues alloc] init] autorelease];
  id<MTLFunction> function =
      [library_of(device, source) newFunctionWithName:[NSString stringWithUTF8String:name]
                                       constantValues:values
                                                error:&error];
  id<MTLComputePipelineState> state = nil;
  if (function) state = [device newComputePipelineStateWithFunction:function error:&error];
  if (!state) fprintf(stderr, "%s\n", text(error).c_str());
  REQUIRE(state);
  [static_cast<id>(function) release];
  return [static_cast<id>(state) autorelease];
}

template <class T>
id<MTLBuffer> buffer_of(id<MTLDevice> device, size_t count, T (*value)(size_t)) {
  id<MTLBuffer> buffer = [device newBufferWithLength:count * sizeof(T)
                                             options:MTLResourceStorageModeShared];
  auto* elements = static_cast<T*>([buffer contents]);
  for (size_t i = 0; i < count; ++i) elements[i] = value(i);
  return [static_cast<id>(buffer) autorelease];
}

/// Runs the test on the fast device and on the one that runs a lane at a time.
template <class Test>
void on_all_devices(const Test& test) {
  @autoreleasepool {
    NSArray* devices = [MTLCopyAllDevices() autorelease];
    CHECK([devices count] == 2);
    for (id<MTLDevice> device in devices) {
      @autoreleasepool {
        const int before = failed_checks;
        test(device);
        if (failed_checks > before) fprintf(stderr, "... on %s\n", [[device name] UTF8String]);
      }
    }
  }
}

inline int report() { return failed_checks ? 1 : 0; }
