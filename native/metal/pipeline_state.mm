// SPDX-License-Identifier: MIT
// A function with its constants -> MTLComputePipelineState.
#import "metal/pipeline_state.h"

#include <utility>

#import "metal/device.h"
#import "metal/errors.h"
#import "metal/function_constants.h"
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
  state->_label = [[descriptor label] copy];
  return state;
}

- (void)dealloc {
  delete kernel;
  [_label release];
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

@end

const std::shared_ptr<const Kernel>* MFAKernel(id<MTLComputePipelineState> state) {
  static const Class ours = [MFAPipelineState class];
  if (!state || [static_cast<id>(state) class] != ours) return nullptr;
  return static_cast<MFAPipelineState*>(state)->kernel;
}
