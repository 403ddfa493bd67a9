// SPDX-License-Identifier: MIT
// What the loader found out about a kernel's arguments -> MTLComputePipelineReflection.
#import "metal/reflection.h"

#import "metal/data_types.h"
#import "metal/errors.h"

using mfa::air::Argument;

/// One argument in both the forms that Metal has for it.
@interface MFABinding : NSObject <MTLBufferBinding, MTLThreadgroupBinding> {
 @public
  NSString* name;
  MTLBindingType type;
  MTLBindingAccess access;
  NSUInteger index, alignment, size;
  MTLDataType dataType;
  BOOL used, active;
}
@end

@implementation MFABinding

- (void)dealloc {
  [name release];
  [super dealloc];
}

- (NSString*)name {
  return name;
}

- (MTLBindingType)type {
  return type;
}

- (MTLBindingAccess)access {
  return access;
}

- (NSUInteger)index {
  return index;
}

- (BOOL)isUsed {
  return used;
}

- (BOOL)isArgument {
  return active;
}

- (NSUInteger)bufferAlignment {
  return alignment;
}

- (NSUInteger)bufferDataSize {
  return size;
}

- (MTLDataType)bufferDataType {
  return dataType;
}

- (NSUInteger)threadgroupMemoryAlignment {
  return alignment;
}

- (NSUInteger)threadgroupMemoryDataSize {
  return size;
}

@end

@interface MTLArgument ()
- (instancetype)initWithBinding:(MFABinding*)binding;
@end

@implementation MTLArgument

static MFABinding* binding_of(MTLArgument* argument) {
  return static_cast<MFABinding*>(argument->_binding);
}

- (instancetype)initWithBinding:(MFABinding*)binding {
  if ((self = [super init])) _binding = [binding retain];
  return self;
}

- (void)dealloc {
  [_binding release];
  [super dealloc];
}

- (NSString*)name {
  return binding_of(self)->name;
}

- (MTLArgumentType)type {
  return static_cast<MTLArgumentType>(binding_of(self)->type);
}

- (MTLArgumentAccess)access {
  return binding_of(self)->access;
}

- (NSUInteger)index {
  return binding_of(self)->index;
}

- (BOOL)isActive {
  return binding_of(self)->used;
}

- (NSUInteger)valueFor:(MTLBindingType)type or:(NSUInteger)value {
  return binding_of(self)->type == type ? value : 0;
}

- (NSUInteger)bufferAlignment {
  return [self valueFor:MTLBindingTypeBuffer or:binding_of(self)->alignment];
}

- (NSUInteger)bufferDataSize {
  return [self valueFor:MTLBindingTypeBuffer or:binding_of(self)->size];
}

- (MTLDataType)bufferDataType {
  return static_cast<MTLDataType>([self valueFor:MTLBindingTypeBuffer
                                              or:binding_of(self)->dataType]);
}

- (NSUInteger)threadgroupMemoryAlignment {
  return [self valueFor:MTLBindingTypeThreadgroupMemory or:binding_of(self)->alignment];
}

- (NSUInteger)threadgroupMemoryDataSize {
  return [self valueFor:MTLBindingTypeThreadgroupMemory or:binding_of(self)->size];
}

@end

@interface MTLComputePipelineReflection ()
- (instancetype)initWithReflection:(const mfa::air::Reflection&)reflection;
@end

@implementation MTLComputePipelineReflection
@synthesize bindings = _bindings, arguments = _arguments;

static MTLBindingAccess access_of(Argument::Access access) {
  switch (access) {
    case Argument::Access::read:
      return MTLBindingAccessReadOnly;
    case Argument::Access::write:
      return MTLBindingAccessWriteOnly;
    default:
      return MTLBindingAccessReadWrite;
  }
}

/// Nil for what is no binding, like thread_position_in_grid.
static MFABinding* new_binding(const Argument& argument) {
  const bool buffer = argument.kind == Argument::Kind::buffer;
  if (!buffer && !argument.table && argument.kind != Argument::Kind::threadgroup) return nil;
  MFABinding* binding = [[MFABinding alloc] init];
  binding->name = [MFAString(argument.name) copy];
  binding->type = argument.table ? MTLBindingTypeVisibleFunctionTable
                  : buffer       ? MTLBindingTypeBuffer
                                 : MTLBindingTypeThreadgroupMemory;
  binding->access = access_of(argument.access);
  binding->index = argument.slot;
  binding->alignment = argument.type_align;
  binding->size = argument.buffer_size ? argument.buffer_size : argument.type_size;
  const uint64_t type = mfa::metal::data_type_of(argument.type_name);
  binding->dataType = argument.table ? MTLDataTypeVisibleFunctionTable
                      : type         ? static_cast<MTLDataType>(type)
                                     : MTLDataTypeStruct;
  binding->used = argument.active && !argument.unused;
  binding->active = argument.active;
  return binding;
}

- (instancetype)initWithReflection:(const mfa::air::Reflection&)reflection {
  if (!(self = [super init])) return nil;
  NSMutableArray* bindings = [[NSMutableArray alloc] init];
  NSMutableArray* arguments = [[NSMutableArray alloc] init];
  for (const Argument& argument : reflection.arguments) {
    MFABinding* binding = new_binding(argument);
    if (!binding) continue;
    MTLArgument* older = [[MTLArgument alloc] initWithBinding:binding];
    [bindings addObject:binding];
    [arguments addObject:older];
    [older release];
    [binding release];
  }
  _bindings = bindings;
  _arguments = arguments;
  return self;
}

- (void)dealloc {
  [_bindings release];
  [_arguments release];
  [super dealloc];
}

@end

MTLComputePipelineReflection* MFAReflection(const mfa::air::Reflection& reflection) {
  return [[[MTLComputePipelineReflection alloc] initWithReflection:reflection] autorelease];
}
