// SPDX-License-Identifier: MIT
// The plain objects callers fill in: compile options and descriptors.
#import <Metal/Metal.h>

#import "metal/errors.h"

@implementation MTLCompileOptions
@synthesize preprocessorMacros = _preprocessorMacros, mathMode = _mathMode,
            mathFloatingPointFunctions = _mathFloatingPointFunctions,
            languageVersion = _languageVersion, libraryType = _libraryType,
            installName = _installName, preserveInvariance = _preserveInvariance,
            optimizationLevel = _optimizationLevel,
            allowReferencingUndefinedSymbols = _allowReferencingUndefinedSymbols,
            maxTotalThreadsPerThreadgroup = _maxTotalThreadsPerThreadgroup;

- (instancetype)init {
  if ((self = [super init])) {
    _mathMode = MTLMathModeFast;
    _languageVersion = MTLLanguageVersion3_1;
  }
  return self;
}

- (void)dealloc {
  [_preprocessorMacros release];
  [_installName release];
  [super dealloc];
}

// The older name of one bit of mathMode.
- (BOOL)fastMathEnabled {
  return _mathMode == MTLMathModeFast;
}

- (void)setFastMathEnabled:(BOOL)enabled {
  _mathMode = enabled ? MTLMathModeFast : MTLMathModeSafe;
}

- (id)copyWithZone:(NSZone*)zone {
  MTLCompileOptions* copy = [[MTLCompileOptions allocWithZone:zone] init];
  copy->_preprocessorMacros = [_preprocessorMacros copyWithZone:zone];
  copy->_mathMode = _mathMode;
  copy->_mathFloatingPointFunctions = _mathFloatingPointFunctions;
  copy->_languageVersion = _languageVersion;
  copy->_libraryType = _libraryType;
  copy->_installName = [_installName copyWithZone:zone];
  copy->_preserveInvariance = _preserveInvariance;
  copy->_optimizationLevel = _optimizationLevel;
  copy->_allowReferencingUndefinedSymbols = _allowReferencingUndefinedSymbols;
  copy->_maxTotalThreadsPerThreadgroup = _maxTotalThreadsPerThreadgroup;
  return copy;
}

@end

@implementation MTLFunctionDescriptor
@synthesize name = _name, specializedName = _specializedName, constantValues = _constantValues,
            options = _options;

+ (MTLFunctionDescriptor*)functionDescriptor {
  return [[[MTLFunctionDescriptor alloc] init] autorelease];
}

- (void)dealloc {
  [_name release];
  [_specializedName release];
  [_constantValues release];
  [super dealloc];
}

- (id)copyWithZone:(NSZone*)zone {
  MTLFunctionDescriptor* copy = [[MTLFunctionDescriptor allocWithZone:zone] init];
  copy->_name = [_name copyWithZone:zone];
  copy->_specializedName = [_specializedName copyWithZone:zone];
  copy->_constantValues = [_constantValues copyWithZone:zone];
  copy->_options = _options;
  return copy;
}

@end

@implementation MTLPipelineBufferDescriptor
@synthesize mutability = _mutability;

- (id)copyWithZone:(NSZone*)zone {
  MTLPipelineBufferDescriptor* copy = [[MTLPipelineBufferDescriptor allocWithZone:zone] init];
  copy->_mutability = _mutability;
  return copy;
}

@end

@implementation MTLPipelineBufferDescriptorArray

- (instancetype)init {
  if ((self = [super init])) _descriptors = [[NSMutableDictionary alloc] init];
  return self;
}

- (void)dealloc {
  [_descriptors release];
  [super dealloc];
}

- (MTLPipelineBufferDescriptor*)objectAtIndexedSubscript:(NSUInteger)bufferIndex {
  NSNumber* key = [NSNumber numberWithUnsignedInteger:bufferIndex];
  MTLPipelineBufferDescriptor* descriptor = [_descriptors objectForKey:key];
  if (!descriptor) {
    descriptor = [[[MTLPipelineBufferDescriptor alloc] init] autorelease];
    [_descriptors setObject:descriptor forKey:key];
  }
  return descriptor;
}

- (void)setObject:(MTLPipelineBufferDescriptor*)buffer atIndexedSubscript:(NSUInteger)bufferIndex {
  NSNumber* key = [NSNumber numberWithUnsignedInteger:bufferIndex];
  if (buffer) {
    [_descriptors setObject:buffer forKey:key];
  } else {
    [_descriptors removeObjectForKey:key];
  }
}

- (void)copyFrom:(MTLPipelineBufferDescriptorArray*)other {
  for (NSNumber* key in other->_descriptors) {
    MTLPipelineBufferDescriptor* copy = [[other->_descriptors objectForKey:key] copy];
    [_descriptors setObject:copy forKey:key];
    [copy release];
  }
}

@end

@implementation MTLComputePipelineDescriptor
@synthesize label = _label, computeFunction = _computeFunction,
            threadGroupSizeIsMultipleOfThreadExecutionWidth =
                _threadGroupSizeIsMultipleOfThreadExecutionWidth,
            maxTotalThreadsPerThreadgroup = _maxTotalThreadsPerThreadgroup, buffers = _buffers,
            supportIndirectCommandBuffers = _supportIndirectCommandBuffers,
            linkedFunctions = _linkedFunctions;

- (instancetype)init {
  if ((self = [super init])) _buffers = [[MTLPipelineBufferDescriptorArray alloc] init];
  return self;
}

- (void)dealloc {
  [_label release];
  [_computeFunction release];
  [_buffers release];
  [_linkedFunctions release];
  [super dealloc];
}

- (void)reset {
  [self setLabel:nil];
  [self setComputeFunction:nil];
  [self setLinkedFunctions:nil];
  _threadGroupSizeIsMultipleOfThreadExecutionWidth = NO;
  _maxTotalThreadsPerThreadgroup = 0;
  _supportIndirectCommandBuffers = NO;
  [_buffers release];
  _buffers = [[MTLPipelineBufferDescriptorArray alloc] init];
}

- (id)copyWithZone:(NSZone*)zone {
  MTLComputePipelineDescriptor* copy = [[MTLComputePipelineDescriptor allocWithZone:zone] init];
  copy->_label = [_label copyWithZone:zone];
  copy->_computeFunction = [_computeFunction retain];
  copy->_linkedFunctions = [_linkedFunctions copyWithZone:zone];
  copy->_threadGroupSizeIsMultipleOfThreadExecutionWidth =
      _threadGroupSizeIsMultipleOfThreadExecutionWidth;
  copy->_maxTotalThreadsPerThreadgroup = _maxTotalThreadsPerThreadgroup;
  copy->_supportIndirectCommandBuffers = _supportIndirectCommandBuffers;
  [copy->_buffers copyFrom:_buffers];
  return copy;
}

@end

@implementation MTLLinkedFunctions
@synthesize functions = _functions, privateFunctions = _privateFunctions;

+ (MTLLinkedFunctions*)linkedFunctions {
  return [[[MTLLinkedFunctions alloc] init] autorelease];
}

- (void)dealloc {
  [_functions release];
  [_privateFunctions release];
  [super dealloc];
}

- (id)copyWithZone:(NSZone*)zone {
  MTLLinkedFunctions* copy = [[MTLLinkedFunctions allocWithZone:zone] init];
  copy->_functions = [_functions copyWithZone:zone];
  copy->_privateFunctions = [_privateFunctions copyWithZone:zone];
  return copy;
}

@end

@implementation MTLCommandBufferDescriptor
@synthesize retainedReferences = _retainedReferences, errorOptions = _errorOptions;

- (instancetype)init {
  if ((self = [super init])) _retainedReferences = YES;
  return self;
}

- (id)copyWithZone:(NSZone*)zone {
  MTLCommandBufferDescriptor* copy = [[MTLCommandBufferDescriptor allocWithZone:zone] init];
  copy->_retainedReferences = _retainedReferences;
  copy->_errorOptions = _errorOptions;
  return copy;
}

@end
