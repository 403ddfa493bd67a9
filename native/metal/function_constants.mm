// SPDX-License-Identifier: MIT
// -setConstantValue:… calls -> values by index and by name.
#import "metal/function_constants.h"

#include <string.h>

#import "metal/data_types.h"
#import "metal/errors.h"

using mfa::air::ConstantRecord;
using mfa::air::ConstantValue;
using mfa::air::ConstantValues;

@implementation MTLFunctionConstantValues

static ConstantValues* values_of(MTLFunctionConstantValues* object) {
  return static_cast<ConstantValues*>(object->_values);
}

- (instancetype)init {
  if ((self = [super init])) _values = new ConstantValues;
  return self;
}

- (void)dealloc {
  delete values_of(self);
  [super dealloc];
}

- (id)copyWithZone:(NSZone*)zone {
  MTLFunctionConstantValues* copy = [[MTLFunctionConstantValues allocWithZone:zone] init];
  @synchronized(self) {
    *values_of(copy) = *values_of(self);
  }
  return copy;
}

/// A type of unknown size keeps its number, so that binding it can say what is wrong.
static ConstantValue constant(const void* bytes, MTLDataType type) {
  ConstantValue value;
  value.type = type <= UINT8_MAX ? static_cast<uint8_t>(type) : UINT8_MAX;
  const size_t size = mfa::metal::data_type_size(type);
  if (bytes) memcpy(value.bytes.data(), bytes, size);
  return value;
}

- (void)setConstantValue:(const void*)value type:(MTLDataType)type atIndex:(NSUInteger)index {
  @synchronized(self) {
    if (index <= UINT16_MAX)
      values_of(self)->by_index[static_cast<uint32_t>(index)] = constant(value, type);
  }
}

- (void)setConstantValues:(const void*)values type:(MTLDataType)type withRange:(NSRange)range {
  const size_t size = mfa::metal::data_type_size(type);
  for (NSUInteger i = 0; i < range.length && i <= UINT16_MAX; ++i) {
    const void* value = static_cast<const char*>(values) + i * size;
    [self setConstantValue:value type:type atIndex:range.location + i];
  }
}

- (void)setConstantValue:(const void*)value type:(MTLDataType)type withName:(NSString*)name {
  @synchronized(self) {
    if (name) values_of(self)->by_name[MFAText(name)] = constant(value, type);
  }
}

- (void)reset {
  @synchronized(self) {
    *values_of(self) = {};
  }
}

ConstantValues MFAConstantValues(MTLFunctionConstantValues* values) {
  if (!values) return {};
  @synchronized(values) {
    return *values_of(values);
  }
}

@end

static const ConstantValue* find(const ConstantRecord& record, const ConstantValues& values) {
  if (auto named = values.by_name.find(record.name); named != values.by_name.end()) {
    return &named->second;
  }
  auto numbered = values.by_index.find(record.index);
  return numbered == values.by_index.end() ? nullptr : &numbered->second;
}

mfa::Result<void> MFACheckConstants(const mfa::air::FunctionRecord& function,
                                    const ConstantValues& values) {
  for (const ConstantRecord& record : function.constants) {
    const std::string where = "function '" + function.name + "': function constant '" +
                              record.name + "' (index " + std::to_string(record.index) + ", " +
                              mfa::metal::data_type_name(record.type) + ") ";
    const ConstantValue* value = find(record, values);
    if (!value && record.required) return mfa::Error{where + "has no value"};
    if (value && value->type != record.type) {
      return mfa::Error{where + "was given a value of type " +
                        mfa::metal::data_type_name(value->type)};
    }
  }
  return {};
}
