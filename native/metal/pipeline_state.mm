// SPDX-License-Identifier: MIT
// A function with its constants -> MTLComputePipelineState.
#import "metal/pipeline_state.h"

#include <utility>

#import "metal/device.h"
#import "metal/errors.h"
#import "metal/function_constants.h"
#import "metal/function_table.h"
#import "metal/library.h"
#import "metal/reflection.h"

using mfa::metal::Kernel;

@implementation MFAPipelineState

static mfa::Result<std::shared_ptr<const Kernel>> compile(MFAFunction* function,
                                                          MTLComputePipelineDescriptor* descriptor,
                                                          MFADevice* device) {
  const mfa::air::FunctionRecord& record = *[function record];
  if ([function functionType] != MTLFunctionTypeKernel) {
    return mfa::Error{"function '" + record.name + "' is not a kernel"};
  }
  auto checked = MFACheckConstants(record, *[function constantValues]);
  if (!checked) return checked.take_error();

  mfa::metal::KernelOptions options;
  options.path = [device path];
  options.max_threads = static_cast<uint32_t>(
      std::min<NSUInteger>([descriptor maxTotalThreadsPerThreadgroup], MFA_MAX_THREADS));
  options.whole_simdgroups = [descriptor threadGroupSizeIsMultipleOfThreadExecutionWidth];
  MTLLinkedFunctions* linked = [descriptor linkedFunctions];
  NSArray* functions = [linked functions] ? [linked functions] : [NSArray array];
  if ([linked privateFunctions])
    functions = [functions arrayByAddingObjectsFromArray:[linked privateFunctions]];
  for (MFAFunction* visible in functions) {
    if (![visible isKindOfClass:[MFAFunction class]]) {
      return mfa::Error{"function '" + record.name + "': a linked function is of another device"};
    }
    options.linked.push_back({[visible metallib], [visible record]});
  }
  return Kernel::make([function metallib], record.name, *[function constantValues], options);
}

+ (MFAPipelineState*)newStateWithDescriptor:(MTLComputePipelineDescriptor*)descriptor
                                     device:(MFADevice*)device
                                      error:(NSError**)error {
  id function = [descriptor computeFunction];
  if (![function isKindOfClass:[MFAFunction class]]) {
    return MFARefuse(error, MFALibraryFailure(MTLLibraryErrorFunctionNotFound,
                                              "the pipeline descriptor has no compute function"));
  }
  auto compiled = compile(function, descriptor, device);
  if (!compiled) {
    return MFARefuse(error, MFALibraryFailure(MTLLibraryErrorUnsupported, compiled.error()));
  }
  MFAPipelineState* state = [[MFAPipelineState alloc] init];
  state->kernel = new std::shared_ptr<const Kernel>(std::move(*compiled));
  state->_device = [device retain];
  state->_linked = [[[descriptor linkedFunctions] functions] copy];
  state->_label = [[descriptor label] copy];
  return state;
}

- (void)dealloc {
  delete kernel;
  [_label release];
  [_linked release];
  [_device release];
  [super dealloc];
}

- (id<MTLDevice>)device {
  return _device;
}

- (NSString*)label {
  return _label;
}

- (MTLComputePipelineReflection*)reflection {
  return MFAReflection((*kernel)->reflection());
}

- (NSUInteger)maxTotalThreadsPerThreadgroup {
  return (*kernel)->max_threads();
}

- (NSUInteger)threadExecutionWidth {
  return MFA_SIMD_WIDTH;
}

- (NSUInteger)staticThreadgroupMemoryLength {
  return (*kernel)->static_threadgroup_bytes();
}

- (NSUInteger)mfaCodeBytes {
  return (*kernel)->code_bytes();
}

- (BOOL)supportIndirectCommandBuffers {
  return NO;
}

- (id<MTLFunctionHandle>)functionHandleWithFunction:(id<MTLFunction>)function {
  if (![static_cast<id>(function) isKindOfClass:[MFAFunction class]]) return nil;
  const auto* wanted = [static_cast<MFAFunction*>(function) record];
  for (NSUInteger i = 0; i < [_linked count]; ++i) {
    MFAFunction* linked = [_linked objectAtIndex:i];
    if ([linked record] != wanted) continue;
    return [[[MFAFunctionHandle alloc] initWithFunction:linked
                                                 number:static_cast<uint32_t>(i + 1)
                                                 kernel:*kernel] autorelease];
  }
  return nil;
}

- (id<MTLVisibleFunctionTable>)newVisibleFunctionTableWithDescriptor:
    (MTLVisibleFunctionTableDescriptor*)descriptor {
  return [[MFAVisibleFunctionTable alloc] initWithCount:[descriptor functionCount]
                                                 kernel:*kernel
                                                 device:_device];
}

@end

const std::shared_ptr<const Kernel>* MFAKernel(id<MTLComputePipelineState> state) {
  static const Class ours = [MFAPipelineState class];
  if (!state || [static_cast<id>(state) class] != ours) return nullptr;
  return static_cast<MFAPipelineState*>(state)->kernel;
}
