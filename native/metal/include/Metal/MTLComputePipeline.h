// SPDX-License-Identifier: MIT
// A compute function turned into code for the device.
#pragma once

#import <Metal/MTLArgument.h>
#import <Metal/MTLFunctionHandle.h>
#import <Metal/MTLLibrary.h>
#import <Metal/MTLLinkedFunctions.h>
#import <Metal/MTLPipeline.h>
#import <Metal/MTLVisibleFunctionTable.h>

NS_ASSUME_NONNULL_BEGIN

MTL_EXPORT
@interface MTLComputePipelineReflection : NSObject {
 @private
  NSArray<id<MTLBinding>>* _bindings;
  NSArray<MTLArgument*>* _arguments;
}
@property(readonly) NSArray<id<MTLBinding>>* bindings;
@property(readonly) NSArray<MTLArgument*>* arguments;
@end

MTL_EXPORT
@interface MTLComputePipelineDescriptor : NSObject <NSCopying> {
 @private
  NSString* _label;
  id<MTLFunction> _computeFunction;
  MTLPipelineBufferDescriptorArray* _buffers;
  MTLLinkedFunctions* _linkedFunctions;
  NSUInteger _maxTotalThreadsPerThreadgroup;
  BOOL _threadGroupSizeIsMultipleOfThreadExecutionWidth;
  BOOL _supportIndirectCommandBuffers;
}
@property(nullable, copy, nonatomic) NSString* label;
@property(nullable, readwrite, nonatomic, strong) id<MTLFunction> computeFunction;
@property(readwrite, nonatomic) BOOL threadGroupSizeIsMultipleOfThreadExecutionWidth;
@property(readwrite, nonatomic) NSUInteger maxTotalThreadsPerThreadgroup;
@property(readonly) MTLPipelineBufferDescriptorArray* buffers;
@property(readwrite, nonatomic) BOOL supportIndirectCommandBuffers;
@property(nullable, copy, nonatomic) MTLLinkedFunctions* linkedFunctions;
- (void)reset;
@end

@protocol MTLComputePipelineState <NSObject>
@property(nullable, readonly) NSString* label;
@property(readonly) id<MTLDevice> device;
@property(readonly) NSUInteger maxTotalThreadsPerThreadgroup;
@property(readonly) NSUInteger threadExecutionWidth;
@property(readonly) NSUInteger staticThreadgroupMemoryLength;
@property(readonly) BOOL supportIndirectCommandBuffers;
/// Nil unless the function is one of those that the pipeline's descriptor linked.
- (nullable id<MTLFunctionHandle>)functionHandleWithFunction:(id<MTLFunction>)function;
- (nullable id<MTLVisibleFunctionTable>)newVisibleFunctionTableWithDescriptor:
    (MTLVisibleFunctionTableDescriptor*)descriptor;
@end

NS_ASSUME_NONNULL_END
