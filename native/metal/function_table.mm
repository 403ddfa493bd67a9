// SPDX-License-Identifier: MIT
// Function handles and tables: numbers of a pipeline's linked functions.
#import "metal/function_table.h"

#include <utility>

#import "metal/device.h"
#import "metal/errors.h"
#import "metal/library.h"

using mfa::metal::Kernel;
using mfa::metal::Memory;

@implementation MTLVisibleFunctionTableDescriptor
@synthesize functionCount = _functionCount;

+ (MTLVisibleFunctionTableDescriptor*)visibleFunctionTableDescriptor {
  return [[[MTLVisibleFunctionTableDescriptor alloc] init] autorelease];
}

- (id)copyWithZone:(NSZone*)zone {
  MTLVisibleFunctionTableDescriptor* copy =
      [[MTLVisibleFunctionTableDescriptor allocWithZone:zone] init];
  copy->_functionCount = _functionCount;
  return copy;
}

@end

@implementation MFAFunctionHandle

- (instancetype)initWithFunction:(MFAFunction*)function
                          number:(uint32_t)given
                          kernel:(std::shared_ptr<const Kernel>)owner {
  if ((self = [super init])) {
    _function = [function retain];
    number = given;
    kernel = new std::shared_ptr<const Kernel>(std::move(owner));
  }
  return self;
}

- (void)dealloc {
  delete kernel;
  [_function release];
  [super dealloc];
}

- (MTLFunctionType)functionType {
  return [_function functionType];
}

- (NSString*)name {
  return [_function name];
}

- (id<MTLDevice>)device {
  return [_function device];
}

@end

@implementation MFAVisibleFunctionTable
@synthesize label = _label;

- (instancetype)initWithCount:(NSUInteger)count
                       kernel:(std::shared_ptr<const Kernel>)owner
                       device:(MFADevice*)device {
  if (!(self = [super init])) return nil;
  auto bytes = count > UINT32_MAX ? nullptr : Memory::allocate(count * sizeof(uint32_t), nullptr);
  if (!bytes) {
    [self release];
    return nil;
  }
  memory = new std::shared_ptr<Memory>(std::move(bytes));
  kernel = new std::shared_ptr<const Kernel>(std::move(owner));
  problem = new std::string;
  _device = [device retain];
  return self;
}

- (void)dealloc {
  delete memory;
  delete kernel;
  delete problem;
  [_label release];
  [_device release];
  [super dealloc];
}

// There is no error to return: what is wrong is told by the commands that use the table.
- (void)setFunction:(id<MTLFunctionHandle>)function atIndex:(NSUInteger)index {
  const NSUInteger count = (*memory)->length() / sizeof(uint32_t);
  const std::string where = "entry " + std::to_string(index) + " of a visible function table";
  if (index >= count) {
    *problem = where + ": it has " + std::to_string(count) + " entries";
    return;
  }
  uint32_t number = 0;
  if (function) {
    auto* handle = static_cast<MFAFunctionHandle*>(function);
    const bool ours = [static_cast<id>(function) isKindOfClass:[MFAFunctionHandle class]];
    if (!ours || *handle->kernel != *kernel) {
      *problem = where + ": expected a handle of a function linked to kernel '" +
                 (*kernel)->name() + "', by the pipeline state that made the table";
      return;
    }
    number = handle->number;
  }
  reinterpret_cast<uint32_t*>((*memory)->data())[index] = number;
}

- (void)setFunctions:(const id<MTLFunctionHandle>*)functions withRange:(NSRange)range {
  for (NSUInteger i = 0; i < range.length; ++i) {
    [self setFunction:functions[i] atIndex:range.location + i];
  }
}

- (id<MTLDevice>)device {
  return _device;
}

- (NSUInteger)allocatedSize {
  return (*memory)->length();
}

- (MTLResourceOptions)resourceOptions {
  return MTLResourceStorageModePrivate;
}

- (MTLCPUCacheMode)cpuCacheMode {
  return MTLCPUCacheModeDefaultCache;
}

- (MTLStorageMode)storageMode {
  return MTLStorageModePrivate;
}

- (MTLHazardTrackingMode)hazardTrackingMode {
  return MTLHazardTrackingModeUntracked;
}

- (MTLPurgeableState)setPurgeableState:(MTLPurgeableState)state {
  (void)state;
  return MTLPurgeableStateNonVolatile;
}

@end
