// SPDX-License-Identifier: MIT
// The CPU as a MTLDevice: makes buffers, queues, libraries and pipelines.
#import "metal/device.h"

#include <stdlib.h>
#include <string.h>

#include <atomic>
#include <utility>

#import "metal/background.h"
#import "metal/blocks.h"
#import "metal/buffer.h"
#import "metal/command_queue.h"
#import "metal/errors.h"
#import "metal/events.h"
#import "metal/library.h"
#import "metal/machine.h"
#import "metal/pipeline_state.h"
#import "metal/read_file.h"
#import "metal/reflection.h"
#import "metal/source_compiler.h"

using mfa::metal::Memory;

// Vector code takes aligned loads for aligned types, the widest of which is a 16-byte vector.
static const uintptr_t no_copy_alignment = 16;
static const NSUInteger default_queue_capacity = 64;

@implementation MFADevice

+ (MFADevice*)deviceWithPath:(mfa::jit::Path)path {
  using mfa::jit::Path;
  const char* validate = getenv("MFA_VALIDATE");
  const bool checks = validate && *validate && strcmp(validate, "0") != 0;
  static MFADevice* const devices[] = {
      [[MFADevice alloc] initWithPath:checks ? Path::validated : Path::vector name:@"cpu"],
      [[MFADevice alloc] initWithPath:Path::reference name:@"reference"],
      [[MFADevice alloc] initWithPath:Path::validated name:@"validate"],
  };
  return devices[static_cast<size_t>(path)];
}

- (instancetype)initWithPath:(mfa::jit::Path)path name:(NSString*)name {
  if ((self = [super init])) {
    static const char* const kinds[] = {"", " reference", " with validation"};
    _path = path;
    _deviceName = [name copy];
    _name = [MFAString("pymfa CPU (" + mfa::metal::cpu_name() + ")" +
                       kinds[static_cast<size_t>(path)]) copy];
    _allocated = new mfa::metal::MemoryCounter(std::make_shared<std::atomic<size_t>>(0));
  }
  return self;
}

- (mfa::jit::Path)path {
  return _path;
}

- (NSString*)mfaDeviceName {
  return _deviceName;
}

- (id<MTLDevice>)mfaValidatingDevice {
  return [MFADevice deviceWithPath:mfa::jit::Path::validated];
}

- (NSUInteger)mfaWorkers {
  return mfa::exec::workers();
}

- (NSUInteger)mfaCacheSize {
  return mfa::metal::cache_size();
}

- (NSString*)name {
  return _name;
}

- (uint64_t)registryID {
  for (NSUInteger i = 0; i < 3; ++i) {
    if ([MFADevice deviceWithPath:static_cast<mfa::jit::Path>(i)] == self) return i + 1;
  }
  return 0;
}

- (MTLSize)maxThreadsPerThreadgroup {
  return MTLSizeMake(MFA_MAX_THREADS, MFA_MAX_THREADS, MFA_MAX_THREADS);
}

- (BOOL)isLowPower {
  return NO;
}

- (BOOL)isHeadless {
  return YES;
}

- (BOOL)isRemovable {
  return NO;
}

- (BOOL)hasUnifiedMemory {
  return YES;
}

- (uint64_t)recommendedMaxWorkingSetSize {
  return mfa::metal::memory_size() / 4 * 3;
}

- (MTLDeviceLocation)location {
  return MTLDeviceLocationBuiltIn;
}

- (NSUInteger)locationNumber {
  return 0;
}

- (uint64_t)maxTransferRate {
  return 0;
}

// Device addresses are host addresses, so argument buffers need no encoding.
- (MTLArgumentBuffersTier)argumentBuffersSupport {
  return MTLArgumentBuffersTier2;
}

- (NSUInteger)currentAllocatedSize {
  return **_allocated;
}

- (NSUInteger)maxThreadgroupMemoryLength {
  return mfa::metal::max_threadgroup_bytes;
}

- (NSUInteger)maxBufferLength {
  return mfa::metal::memory_size();
}

- (BOOL)supportsDynamicLibraries {
  return NO;
}

- (BOOL)supportsFunctionPointers {
  return YES;
}

// What the families promise to compute kernels. Apple8 and later, and Mac2, promise more than that.
- (BOOL)supportsFamily:(MTLGPUFamily)family {
  return (family >= MTLGPUFamilyApple1 && family <= MTLGPUFamilyApple7) ||
         (family >= MTLGPUFamilyCommon1 && family <= MTLGPUFamilyCommon3) ||
         family == MTLGPUFamilyMetal3;
}

- (id<MTLCommandQueue>)newCommandQueue {
  return [self newCommandQueueWithMaxCommandBufferCount:default_queue_capacity];
}

- (id<MTLCommandQueue>)newCommandQueueWithMaxCommandBufferCount:(NSUInteger)count {
  return count == 0 ? nil : [[MFACommandQueue alloc] initWithDevice:self capacity:count];
}

static bool storable(MTLResourceOptions options) {
  return (options & MTLResourceStorageModeMask) != MTLResourceStorageModeMemoryless;
}

- (id<MTLBuffer>)newBufferWithLength:(NSUInteger)length options:(MTLResourceOptions)options {
  if (length > [self maxBufferLength] || !storable(options)) return nil;
  auto memory = Memory::allocate(length, *_allocated);
  if (!memory) return nil;
  return [[MFABuffer alloc] initWithMemory:std::move(memory) options:options device:self];
}

- (id<MTLBuffer>)newBufferWithBytes:(const void*)pointer
                             length:(NSUInteger)length
                            options:(MTLResourceOptions)options {
  id<MTLBuffer> buffer = pointer ? [self newBufferWithLength:length options:options] : nil;
  if (buffer) memcpy([buffer contents], pointer, length);
  return buffer;
}

- (id<MTLBuffer>)newBufferWithBytesNoCopy:(void*)pointer
                                   length:(NSUInteger)length
                                  options:(MTLResourceOptions)options
                              deallocator:(void (^)(void* pointer, NSUInteger length))deallocator {
  if (!pointer || length == 0 || !storable(options)) return nil;
  if (reinterpret_cast<uintptr_t>(pointer) % no_copy_alignment) return nil;
  Memory::Deallocator free;
  if (deallocator) {
    auto held = MFAHoldBlock(deallocator);
    free = [held](void* bytes, size_t size) {
      MFAGuard([&] { reinterpret_cast<void (^)(void*, NSUInteger)>(held.get())(bytes, size); });
    };
  }
  return [[MFABuffer alloc] initWithMemory:Memory::wrap(pointer, length, std::move(free))
                                   options:options
                                    device:self];
}

- (id<MTLFence>)newFence {
  return [[MFAFence alloc] initWithDevice:self];
}

- (id<MTLEvent>)newEvent {
  return [[MFAEvent alloc] initWithDevice:self];
}

- (id<MTLSharedEvent>)newSharedEvent {
  return [[MFAEvent alloc] initWithDevice:self];
}

// Programs have no bundle here that a library could lie in.
- (id<MTLLibrary>)newDefaultLibrary {
  return nil;
}

- (id<MTLLibrary>)newLibraryWithData:(dispatch_data_t)data error:(NSError**)error {
  __block std::vector<uint8_t> bytes;
  if (data) {
    dispatch_data_apply(data, ^bool(dispatch_data_t, size_t, const void* part, size_t size) {
      const auto* first = static_cast<const uint8_t*>(part);
      bytes.insert(bytes.end(), first, first + size);
      return true;
    });
  }
  return [MFALibrary newLibraryWithBytes:std::move(bytes) device:self error:error];
}

- (id<MTLLibrary>)newLibraryWithFile:(NSString*)path error:(NSError**)error {
  auto bytes = mfa::metal::read_file(MFAText(path));
  if (!bytes) {
    return MFARefuse(error, MFALibraryFailure(MTLLibraryErrorFileNotFound, bytes.error()));
  }
  return [MFALibrary newLibraryWithBytes:std::move(*bytes) device:self error:error];
}

- (id<MTLLibrary>)newLibraryWithURL:(NSURL*)url error:(NSError**)error {
  if (![url isFileURL]) {
    return MFARefuse(error, MFALibraryFailure(MTLLibraryErrorFileNotFound,
                                              MFAText([url absoluteString]) + ": not a file URL"));
  }
  return [self newLibraryWithFile:[url path] error:error];
}

static mfa::metal::SourceOptions source_options(MTLCompileOptions* options) {
  mfa::metal::SourceOptions result;
  if (!options) return result;
  result.fast_math = [options mathMode] == MTLMathModeFast;
  // Older versions are compiled as 2.3, the oldest that the compiler knows.
  const auto version = std::max(MTLLanguageVersion2_3, [options languageVersion]);
  result.standard = version < MTLLanguageVersion3_0 ? "macos-metal" : "metal";
  result.standard += std::to_string(version >> 16) + "." + std::to_string(version & 0xffff);
  NSDictionary* macros = [options preprocessorMacros];
  for (NSString* name in macros) {
    const std::string value = MFAText([[macros objectForKey:name] description]);
    result.macros.push_back(MFAText(name) + "=" + value);
  }
  return result;
}

- (id<MTLLibrary>)newLibraryWithSource:(NSString*)source
                               options:(MTLCompileOptions*)options
                                 error:(NSError**)error {
  auto compiled = mfa::metal::compile_source(MFAText(source), source_options(options));
  if (!compiled) {
    return MFARefuse(error, MFALibraryFailure(MTLLibraryErrorInternal, compiled.error()));
  }
  if (compiled->metallib.empty()) {
    return MFARefuse(error,
                     MFALibraryFailure(MTLLibraryErrorCompileFailure, compiled->diagnostics));
  }
  return [MFALibrary newLibraryWithBytes:std::move(compiled->metallib) device:self error:error];
}

- (void)newLibraryWithSource:(NSString*)source
                     options:(MTLCompileOptions*)options
           completionHandler:(MTLNewLibraryCompletionHandler)completionHandler {
  auto text = MFAHold([[source copy] autorelease]), wanted = MFAHold([[options copy] autorelease]);
  auto handler = MFAHoldBlock(completionHandler);
  mfa::metal::run_in_background([self, text, wanted, handler] {
    MFAGuard([&] {
      NSError* error = nil;
      id library = [self newLibraryWithSource:static_cast<NSString*>(text.get())
                                      options:static_cast<MTLCompileOptions*>(wanted.get())
                                        error:&error];
      [library autorelease];
      reinterpret_cast<MTLNewLibraryCompletionHandler>(handler.get())(library, error);
    });
  });
}

static MTLComputePipelineDescriptor* descriptor_for(id<MTLFunction> function) {
  MTLComputePipelineDescriptor* descriptor = [[MTLComputePipelineDescriptor alloc] init];
  [descriptor setComputeFunction:function];
  return [descriptor autorelease];
}

- (id<MTLComputePipelineState>)newComputePipelineStateWithFunction:(id<MTLFunction>)function
                                                             error:(NSError**)error {
  return [self newComputePipelineStateWithFunction:function
                                           options:MTLPipelineOptionNone
                                        reflection:NULL
                                             error:error];
}

- (id<MTLComputePipelineState>)
    newComputePipelineStateWithFunction:(id<MTLFunction>)function
                                options:(MTLPipelineOption)options
                             reflection:(MTLAutoreleasedComputePipelineReflection*)reflection
                                  error:(NSError**)error {
  return [self newComputePipelineStateWithDescriptor:descriptor_for(function)
                                             options:options
                                          reflection:reflection
                                               error:error];
}

- (id<MTLComputePipelineState>)
    newComputePipelineStateWithDescriptor:(MTLComputePipelineDescriptor*)descriptor
                                  options:(MTLPipelineOption)options
                               reflection:(MTLAutoreleasedComputePipelineReflection*)reflection
                                    error:(NSError**)error {
  (void)options;  // reflection costs nothing
  MFAPipelineState* state = [MFAPipelineState newStateWithDescriptor:descriptor
                                                              device:self
                                                               error:error];
  if (reflection) *reflection = [state reflection];
  return state;
}

- (void)newComputePipelineStateWithFunction:(id<MTLFunction>)function
                          completionHandler:(MTLNewComputePipelineStateCompletionHandler)handler {
  [self newComputePipelineStateWithFunction:function
                                    options:MTLPipelineOptionNone
                          completionHandler:^(id<MTLComputePipelineState> state,
                                              MTLComputePipelineReflection*, NSError* error) {
                            handler(state, error);
                          }];
}

- (void)newComputePipelineStateWithFunction:(id<MTLFunction>)function
                                    options:(MTLPipelineOption)options
                          completionHandler:
                              (MTLNewComputePipelineStateWithReflectionCompletionHandler)handler {
  [self newComputePipelineStateWithDescriptor:descriptor_for(function)
                                      options:options
                            completionHandler:handler];
}

- (void)newComputePipelineStateWithDescriptor:(MTLComputePipelineDescriptor*)descriptor
                                      options:(MTLPipelineOption)options
                            completionHandler:
                                (MTLNewComputePipelineStateWithReflectionCompletionHandler)handler {
  auto wanted = MFAHold([[descriptor copy] autorelease]);
  auto block = MFAHoldBlock(handler);
  mfa::metal::run_in_background([self, wanted, options, block] {
    MFAGuard([&] {
      NSError* error = nil;
      MTLComputePipelineReflection* reflection = nil;
      id state =
          [self newComputePipelineStateWithDescriptor:static_cast<MTLComputePipelineDescriptor*>(
                                                          wanted.get())
                                              options:options
                                           reflection:&reflection
                                                error:&error];
      [state autorelease];
      reinterpret_cast<MTLNewComputePipelineStateWithReflectionCompletionHandler>(block.get())(
          state, reflection, error);
    });
  });
}

// There are three for the whole process.
- (id)retain {
  return self;
}

- (oneway void)release {
}

- (id)autorelease {
  return self;
}

@end

id<MTLDevice> MTLCreateSystemDefaultDevice(void) {
  return [[MFADevice deviceWithPath:mfa::jit::Path::vector] retain];
}

NSArray<id<MTLDevice>>* MTLCopyAllDevices(void) {
  return
      [[NSArray alloc] initWithObjects:[MFADevice deviceWithPath:mfa::jit::Path::vector],
                                       [MFADevice deviceWithPath:mfa::jit::Path::reference], nil];
}
