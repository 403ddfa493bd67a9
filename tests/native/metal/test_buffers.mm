// SPDX-License-Identifier: MIT
// Devices have names and limits; buffers are zeroed, aligned, counted, and wrap memory.
#include <unistd.h>

#include <vector>

#import "harness.h"

static void devices_say_what_they_are() {
  NSArray* devices = [MTLCopyAllDevices() autorelease];
  id<MTLDevice> cpu = [devices objectAtIndex:0], reference = [devices objectAtIndex:1];
  id<MTLDevice> standard = MTLCreateSystemDefaultDevice();
  CHECK(cpu == standard);
  CHECK([[cpu name] hasPrefix:@"pymfa CPU ("] && ![[cpu name] hasSuffix:@" reference"]);
  CHECK([[reference name] hasSuffix:@" reference"]);
  CHECK([cpu registryID] != [reference registryID]);
  CHECK([cpu maxThreadsPerThreadgroup].width == 1024);
  CHECK([cpu maxThreadgroupMemoryLength] == 256 * 1024);
  CHECK([cpu hasUnifiedMemory]);
  CHECK([cpu recommendedMaxWorkingSetSize] < [cpu maxBufferLength]);
  CHECK([cpu supportsFamily:MTLGPUFamilyApple7] && ![cpu supportsFamily:MTLGPUFamilyMac2]);
  CHECK([[(id<MFADeviceExtras>)reference mfaDeviceName] isEqualToString:@"reference"]);
  CHECK([(id<MFADeviceExtras>)cpu mfaWorkers] > 0);
  [(id)standard release];
}

static void new_buffers_are_zero_and_page_aligned(id<MTLDevice> device) {
  for (NSUInteger length : {1, 100, 4096, 5000, 9 << 20}) {
    const NSUInteger before = [device currentAllocatedSize];
    id<MTLBuffer> buffer = [device newBufferWithLength:length options:MTLResourceStorageModeShared];
    const auto* bytes = static_cast<const char*>([buffer contents]);
    CHECK([buffer length] == length);
    CHECK(reinterpret_cast<uintptr_t>(bytes) % static_cast<size_t>(sysconf(_SC_PAGESIZE)) == 0);
    CHECK(bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0);
    CHECK([device currentAllocatedSize] == before + length);
    CHECK([buffer gpuAddress] == reinterpret_cast<uintptr_t>(bytes));
    [(id)buffer release];
    CHECK([device currentAllocatedSize] == before);
  }
}

static void options_are_kept(id<MTLDevice> device) {
  id<MTLBuffer> buffer = [device
      newBufferWithLength:16
                  options:MTLResourceStorageModePrivate | MTLResourceHazardTrackingModeUntracked];
  CHECK([buffer storageMode] == MTLStorageModePrivate);
  CHECK([buffer hazardTrackingMode] == MTLHazardTrackingModeUntracked);
  CHECK([buffer cpuCacheMode] == MTLCPUCacheModeDefaultCache);
  [buffer setLabel:@"weights"];
  CHECK([[buffer label] isEqualToString:@"weights"]);
  CHECK([buffer device] == device);
  [(id)buffer release];
}

static void bytes_are_copied(id<MTLDevice> device) {
  int numbers[] = {1, 2, 3};
  id<MTLBuffer> buffer = [device newBufferWithBytes:numbers length:sizeof numbers options:0];
  numbers[1] = 9;
  CHECK(static_cast<int*>([buffer contents])[1] == 2);
  [(id)buffer release];
}

static void memory_is_wrapped_without_a_copy(id<MTLDevice> device) {
  void* memory = aligned_alloc(4096, 8192);
  __block int calls = 0;
  id<MTLBuffer> buffer = [device newBufferWithBytesNoCopy:memory
                                                   length:8192
                                                  options:MTLResourceStorageModeShared
                                              deallocator:^(void* pointer, NSUInteger length) {
                                                CHECK(pointer == memory && length == 8192);
                                                free(pointer);
                                                ++calls;
                                              }];
  CHECK([buffer contents] == memory);
  [(id)buffer release];
  CHECK(calls == 1);
}

static void impossible_buffers_are_nil(id<MTLDevice> device) {
  char memory[64], *nothing = nullptr;
  char* odd = reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(memory) | 15) + 2);
  CHECK(![device newBufferWithLength:0 options:0]);
  CHECK(![device newBufferWithLength:NSUIntegerMax options:0]);
  CHECK(![device newBufferWithLength:[device maxBufferLength] + 1 options:0]);
  CHECK(![device newBufferWithLength:16 options:MTLResourceStorageModeMemoryless]);
  CHECK(![device newBufferWithBytes:nothing length:16 options:0]);
  CHECK(![device newBufferWithBytesNoCopy:odd length:16 options:0 deallocator:nil]);
  CHECK(![device newBufferWithBytesNoCopy:nothing length:16 options:0 deallocator:nil]);
}

int main() {
  @autoreleasepool {
    devices_say_what_they_are();
  }
  on_all_devices([](id<MTLDevice> device) {
    new_buffers_are_zero_and_page_aligned(device);
    options_are_kept(device);
    bytes_are_copied(device);
    memory_is_wrapped_without_a_copy(device);
    impossible_buffers_are_nil(device);
  });
  return report();
}
