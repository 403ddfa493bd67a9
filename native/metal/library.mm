// SPDX-License-Identifier: MIT
// Metallib bytes -> functions by name, with their constants.
#import "metal/library.h"

#include <utility>

#import "metal/background.h"
#import "metal/bitcode_check.h"
#import "metal/blocks.h"
#import "metal/device.h"
#import "metal/errors.h"
#import "metal/function_constants.h"
#import "metal/reflection.h"

using mfa::air::ConstantRecord;
using mfa::air::ConstantValues;
using mfa::air::FunctionRecord;
using mfa::air::Metallib;

@interface MTLFunctionConstant ()
- (instancetype)initWithRecord:(const ConstantRecord&)record;
@end

@implementation MTLFunctionConstant
@synthesize name = _name, type = _type, index = _index, required = _required;

- (instancetype)initWithRecord:(const ConstantRecord&)record {
  if ((self = [super init])) {
    _name = [MFAString(record.name) copy];
    _type = static_cast<MTLDataType>(record.type);
    _index = record.index;
    _required = record.required;
  }
  return self;
}

- (void)dealloc {
  [_name release];
  [super dealloc];
}

@end

@interface MFAFunction ()
- (instancetype)initWithLibrary:(MFALibrary*)library
                       metallib:(std::shared_ptr<const Metallib>)metallib
                         record:(const FunctionRecord*)record
                         values:(ConstantValues)values;
@property(copy, atomic) NSString* specializedName;
@end

@implementation MFALibrary
@synthesize label = _label;

+ (MFALibrary*)newLibraryWithBytes:(std::vector<uint8_t>)bytes
                            device:(MFADevice*)device
                             error:(NSError**)error {
  auto opened = Metallib::open(std::move(bytes));
  if (!opened) {
    return MFARefuse(error, MFALibraryFailure(MTLLibraryErrorUnsupported, opened.error()));
  }
  MFALibrary* library = [[MFALibrary alloc] init];
  library->_device = [device retain];
  library->_metallib = new std::shared_ptr<const Metallib>(std::move(*opened));
  return library;
}

- (void)dealloc {
  delete _metallib;
  [_label release];
  [_device release];
  [super dealloc];
}

- (id<MTLDevice>)device {
  return _device;
}

- (NSArray*)functionNames {
  NSMutableArray* names = [NSMutableArray array];
  for (const FunctionRecord& record : (*_metallib)->functions()) {
    [names addObject:MFAString(record.name)];
  }
  return names;
}

- (MTLLibraryType)type {
  return MTLLibraryTypeExecutable;
}

- (NSString*)installName {
  return nil;
}

- (MFAFunction*)newFunction:(NSString*)name values:(ConstantValues)values {
  const FunctionRecord* record = name ? (*_metallib)->find(MFAText(name)) : nullptr;
  if (!record) return nil;
  return [[MFAFunction alloc] initWithLibrary:self
                                     metallib:*_metallib
                                       record:record
                                       values:std::move(values)];
}

- (id<MTLFunction>)newFunctionWithName:(NSString*)name {
  return [self newFunction:name values:{}];
}

- (id<MTLFunction>)newFunctionWithName:(NSString*)name
                        constantValues:(MTLFunctionConstantValues*)constantValues
                                 error:(NSError**)error {
  MFAFunction* function = [self newFunction:name values:MFAConstantValues(constantValues)];
  if (!function) {
    return MFARefuse(error,
                     MFALibraryFailure(MTLLibraryErrorFunctionNotFound,
                                       "the library has no function '" + MFAText(name) + "'"));
  }
  auto checked = MFACheckConstants(*[function record], *[function constantValues]);
  if (!checked) {
    [function release];
    return MFARefuse(error, MFALibraryFailure(MTLLibraryErrorCompileFailure, checked.error()));
  }
  return function;
}

- (id<MTLFunction>)newFunctionWithDescriptor:(MTLFunctionDescriptor*)descriptor
                                       error:(NSError**)error {
  MTLFunctionConstantValues* values = [descriptor constantValues];
  if (!values) values = [[[MTLFunctionConstantValues alloc] init] autorelease];
  id<MTLFunction> function = [self newFunctionWithName:[descriptor name]
                                        constantValues:values
                                                 error:error];
  [static_cast<MFAFunction*>(function) setSpecializedName:[descriptor specializedName]];
  return function;
}

- (void)newFunctionWithDescriptor:(MTLFunctionDescriptor*)descriptor
                completionHandler:(void (^)(id<MTLFunction>, NSError*))completionHandler {
  auto library = MFAHold(self);
  auto wanted =
      std::shared_ptr<void>([descriptor copy], [](void* held) { [static_cast<id>(held) release]; });
  auto handler = MFAHoldBlock(completionHandler);
  mfa::metal::run_in_background([library, wanted, handler] {
    MFAGuard([&] {
      NSError* error = nil;
      id<MTLFunction> function = [static_cast<MFALibrary*>(library.get())
          newFunctionWithDescriptor:static_cast<MTLFunctionDescriptor*>(wanted.get())
                              error:&error];
      [static_cast<id>(function) autorelease];
      reinterpret_cast<void (^)(id<MTLFunction>, NSError*)>(handler.get())(function, error);
    });
  });
}

- (void)newFunctionWithName:(NSString*)name
             constantValues:(MTLFunctionConstantValues*)constantValues
          completionHandler:(void (^)(id<MTLFunction>, NSError*))completionHandler {
  MTLFunctionDescriptor* descriptor = [MTLFunctionDescriptor functionDescriptor];
  [descriptor setName:name];
  [descriptor setConstantValues:constantValues];
  [self newFunctionWithDescriptor:descriptor completionHandler:completionHandler];
}

@end

@implementation MFAFunction
@synthesize label = _label, specializedName = _specializedName;

- (instancetype)initWithLibrary:(MFALibrary*)library
                       metallib:(std::shared_ptr<const Metallib>)metallib
                         record:(const FunctionRecord*)record
                         values:(ConstantValues)values {
  if ((self = [super init])) {
    _library = [library retain];
    _metallib = new std::shared_ptr<const Metallib>(std::move(metallib));
    _record = record;
    _values = new ConstantValues(std::move(values));
  }
  return self;
}

- (void)dealloc {
  delete _metallib;
  delete _values;
  [_label release];
  [_specializedName release];
  [_library release];
  [super dealloc];
}

- (std::shared_ptr<const Metallib>)metallib {
  return *_metallib;
}

- (const FunctionRecord*)record {
  return _record;
}

- (const ConstantValues*)constantValues {
  return _values;
}

- (id<MTLDevice>)device {
  return [_library device];
}

- (NSString*)name {
  NSString* specialized = [self specializedName];
  return specialized ? specialized : MFAString(_record->name);
}

- (MTLFunctionOptions)options {
  return MTLFunctionOptionNone;
}

- (MTLFunctionType)functionType {
  using mfa::air::FunctionType;
  switch (_record->type) {
    case FunctionType::vertex:
      return MTLFunctionTypeVertex;
    case FunctionType::fragment:
      return MTLFunctionTypeFragment;
    case FunctionType::visible:
      return MTLFunctionTypeVisible;
    case FunctionType::intersection:
      return MTLFunctionTypeIntersection;
    case FunctionType::mesh:
      return MTLFunctionTypeMesh;
    case FunctionType::object:
      return MTLFunctionTypeObject;
    case FunctionType::kernel:
      return MTLFunctionTypeKernel;
    default:
      return static_cast<MTLFunctionType>(0);
  }
}

- (NSArray<id<MTLBinding>>*)mfaBindings {
  auto reflection = [&]() -> mfa::Result<mfa::air::Reflection> {
    auto checked = mfa::metal::check_bitcode(*_record);
    if (!checked) return checked.take_error();
    return mfa::air::reflect(*_record);
  }();
  if (!reflection) return [NSArray array];
  return [MFAReflection(*reflection) bindings];
}

- (void)mfaGetVersions:(uint16_t[_Nonnull 4])versions {
  versions[0] = _record->air_major;
  versions[1] = _record->air_minor;
  versions[2] = _record->language_major;
  versions[3] = _record->language_minor;
}

- (NSDictionary*)functionConstantsDictionary {
  NSMutableDictionary* constants = [NSMutableDictionary dictionary];
  for (const ConstantRecord& record : _record->constants) {
    MTLFunctionConstant* constant = [[MTLFunctionConstant alloc] initWithRecord:record];
    [constants setObject:constant forKey:[constant name]];
    [constant release];
  }
  return constants;
}

@end
