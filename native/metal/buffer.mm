// SPDX-License-Identifier: MIT
// MTLBuffer over memory.h.
#import "metal/buffer.h"

#import "metal/device.h"

using mfa::metal::Memory;

@implementation MFABuffer
@synthesize label = _label;

- (instancetype)initWithMemory:(std::shared_ptr<Memory>)bytes
                       options:(MTLResourceOptions)options
                        device:(MFADevice*)device {
  if ((self = [super init])) {
    memory = new std::shared_ptr<Memory>(std::move(bytes));
    _options = options;
    _device = [device retain];
  }
  return self;
}

- (void)dealloc {
  delete memory;
  [_label release];
  [_device release];
  [super dealloc];
}

- (id<MTLDevice>)device {
  return _device;
}

- (NSUInteger)length {
  return (*memory)->length();
}

- (NSUInteger)allocatedSize {
  return (*memory)->length();
}

- (void*)contents {
  return (*memory)->data();
}

- (MTLGPUAddress)gpuAddress {
  return reinterpret_cast<MTLGPUAddress>((*memory)->data());
}

- (MTLResourceOptions)resourceOptions {
  return _options;
}

- (MTLCPUCacheMode)cpuCacheMode {
  return static_cast<MTLCPUCacheMode>((_options & MTLResourceCPUCacheModeMask) >>
                                      MTLResourceCPUCacheModeShift);
}

- (MTLStorageMode)storageMode {
  return static_cast<MTLStorageMode>((_options & MTLResourceStorageModeMask) >>
                                     MTLResourceStorageModeShift);
}

- (MTLHazardTrackingMode)hazardTrackingMode {
  const auto mode = static_cast<MTLHazardTrackingMode>(
      (_options & MTLResourceHazardTrackingModeMask) >> MTLResourceHazardTrackingModeShift);
  return mode == MTLHazardTrackingModeDefault ? MTLHazardTrackingModeTracked : mode;
}

// Memory is never taken away behind the caller's back.
- (MTLPurgeableState)setPurgeableState:(MTLPurgeableState)state {
  (void)state;
  return MTLPurgeableStateNonVolatile;
}

// The CPU's caches are coherent: there is nothing to write back.
- (void)didModifyRange:(NSRange)range {
  (void)range;
}

- (void)addDebugMarker:(NSString*)marker range:(NSRange)range {
  (void)marker;
  (void)range;
}

- (void)removeAllDebugMarkers {
}

@end

const std::shared_ptr<Memory>* MFAMemory(id<MTLBuffer> buffer) {
  static const Class ours = [MFABuffer class];
  if (!buffer || [static_cast<id>(buffer) class] != ours) return nullptr;
  return static_cast<MFABuffer*>(buffer)->memory;
}
