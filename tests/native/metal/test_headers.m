// SPDX-License-Identifier: MIT
// The headers are plain Objective-C, and their numbers are the ones Metal's binaries hold.
#import <Metal/MFAExtras.h>
#import <Metal/Metal.h>

#define SAME(name, value) _Static_assert((unsigned long)(name) == (value), #name)

SAME(MTLDataTypeFloat, 3);
SAME(MTLDataTypeHalf, 16);
SAME(MTLDataTypeInt, 29);
SAME(MTLDataTypeUInt, 33);
SAME(MTLDataTypeShort, 37);
SAME(MTLDataTypeUShort, 41);
SAME(MTLDataTypeChar, 45);
SAME(MTLDataTypeUChar, 49);
SAME(MTLDataTypeBool, 53);
SAME(MTLDataTypeLong, 81);
SAME(MTLDataTypeULong, 85);
SAME(MTLDataTypeBFloat, 121);
SAME(MTLDataTypeBFloat4, 124);
SAME(MTLFunctionTypeKernel, 3);
SAME(MTLLanguageVersion3_1, 0x30001);
SAME(MTLResourceStorageModePrivate, 0x20);
SAME(MTLResourceHazardTrackingModeUntracked, 0x100);
SAME(MTLCommandBufferStatusError, 5);
SAME(MTLGPUFamilyApple7, 1007);
SAME(MTLGPUFamilyMetal3, 5001);
SAME(sizeof(MTLSize), 24);
SAME(sizeof(MTLDispatchThreadgroupsIndirectArguments), 12);

int main(void) {
  @autoreleasepool {
    const MTLRegion region = MTLRegionMake3D(1, 2, 3, 4, 5, 6);
    const MTLResourceOptions options =
        MTLResourceStorageModeShared | MTLResourceHazardTrackingModeUntracked;
    id<MTLDevice> device = MTLCreateSystemDefaultDevice();
    id<MTLBuffer> buffer = [device newBufferWithLength:region.size.depth options:options];
    const BOOL good = buffer.length == 6 && [buffer resourceOptions] == options;
    [buffer release];
    [device release];
    return good ? 0 : 1;
  }
}
