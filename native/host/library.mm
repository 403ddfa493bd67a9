// SPDX-License-Identifier: MIT
// Metallib bytes, files and source -> MTLLibrary; functions -> reflection and pipelines.
#include "host/library.h"

#include <algorithm>

#include "host/metal_objects.h"

namespace mfa::host {

namespace {

/// `code`: what it means that there is no library.
Outcome<std::shared_ptr<Library>> opened(std::shared_ptr<Device> device, id<MTLLibrary> library,
                                         NSError* error, Code code) {
  if (library == nil) return Status{code, status_of(error, code).message};
  return std::make_shared<Library>(std::move(device), std::vector<Object>{adopt(library)});
}

std::vector<Argument> arguments_of(NSArray* bindings) {
  std::vector<Argument> arguments;
  for (id<MTLBinding> binding in bindings) {
    if (![binding isArgument]) continue;
    Argument argument;
    argument.name = text([binding name]);
    argument.kind = (uint32_t)[binding type];
    argument.slot = (uint32_t)[binding index];
    argument.access = (uint32_t)[binding access];
    argument.used = [binding isUsed];
    if ([binding type] == MTLBindingTypeBuffer) {
      id<MTLBufferBinding> buffer = (id<MTLBufferBinding>)binding;
      argument.type = (uint32_t)[buffer bufferDataType];
      argument.type_size = [buffer bufferDataSize];
      argument.type_alignment = [buffer bufferAlignment];
    } else if ([binding type] == MTLBindingTypeThreadgroupMemory) {
      id<MTLThreadgroupBinding> memory = (id<MTLThreadgroupBinding>)binding;
      argument.type_size = [memory threadgroupMemoryDataSize];
      argument.type_alignment = [memory threadgroupMemoryAlignment];
    }
    arguments.push_back(std::move(argument));
  }
  return arguments;
}

std::vector<FunctionConstant> constants_of(id<MTLFunction> function) {
  std::vector<FunctionConstant> constants;
  NSDictionary* dictionary = [function functionConstantsDictionary];
  for (NSString* key in dictionary) {
    MTLFunctionConstant* found = [dictionary objectForKey:key];
    constants.push_back({text([found name]), (uint32_t)[found index], (uint32_t)[found type],
                         static_cast<bool>([found required])});
  }
  std::sort(constants.begin(), constants.end(),
            [](const FunctionConstant& a, const FunctionConstant& b) { return a.index < b.index; });
  return constants;
}

/// The declaration that a value is for.
const FunctionConstant* declaration(const Function& function, const ConstantValue& value) {
  for (const FunctionConstant& constant : function.constants)
    if (value.name.empty() ? constant.index == value.index : constant.name == value.name)
      return &constant;
  return nullptr;
}

std::string declared(const Function& function) {
  if (function.constants.empty()) return "it has none";
  std::string list = "it has";
  for (const FunctionConstant& constant : function.constants) {
    if (list.size() > 400) return list + " ...";
    list += " " + constant.name + " (" + std::to_string(constant.index) + ", " +
            type_name(constant.type) + ")";
  }
  return list;
}

Status check(const Function& function, const std::vector<ConstantValue>& values) {
  for (const ConstantValue& value : values) {
    const FunctionConstant* constant = declaration(function, value);
    if (!constant && value.name.empty())
      return failure(Code::not_found, "function \"%s\" has no function constant %u; %s",
                     function.name.c_str(), value.index, declared(function).c_str());
    if (!constant)
      return failure(Code::not_found, "function \"%s\" has no function constant \"%s\"; %s",
                     function.name.c_str(), value.name.c_str(), declared(function).c_str());
    if (constant->type != value.type)
      return failure(Code::invalid_type, "function constant %s (%u) of \"%s\" is %s, given %s",
                     constant->name.c_str(), constant->index, function.name.c_str(),
                     type_name(constant->type).c_str(), type_name(value.type).c_str());
  }
  for (const FunctionConstant& constant : function.constants) {
    if (!constant.required) continue;
    bool given = std::any_of(values.begin(), values.end(), [&](const ConstantValue& value) {
      return declaration(function, value) == &constant;
    });
    if (!given)
      return failure(Code::invalid_argument,
                     "function \"%s\" needs a value for its function constant %s (%u, %s)",
                     function.name.c_str(), constant.name.c_str(), constant.index,
                     type_name(constant.type).c_str());
  }
  return {};
}

}  // namespace

Library::Library(std::shared_ptr<Device> device, std::vector<Object> parts)
    : device(std::move(device)), parts_(std::move(parts)) {
  for (const Object& part : parts_)
    for (NSString* name in [as<id<MTLLibrary>>(part) functionNames]) {
      names_.push_back(text(name));
      part_of_[names_.back()] = part.get();
    }
}

void* Library::part(const std::string& function) const {
  auto found = part_of_.find(function);
  return found == part_of_.end() ? parts_.front().get() : found->second;
}

Outcome<std::shared_ptr<Library>> Library::from_bytes(std::shared_ptr<Device> device,
                                                      const void* bytes, size_t length) {
  @autoreleasepool {
    dispatch_data_t data =
        dispatch_data_create(bytes, length, NULL, DISPATCH_DATA_DESTRUCTOR_DEFAULT);
    NSError* error = nil;
    id<MTLLibrary> library = [as<id<MTLDevice>>(device->metal) newLibraryWithData:data
                                                                            error:&error];
    dispatch_release(data);
    return opened(std::move(device), library, error, Code::corrupt);
  }
}

Outcome<std::shared_ptr<Library>> Library::from_file(std::shared_ptr<Device> device,
                                                     const std::string& path) {
  @autoreleasepool {
    NSString* name = string(path);
    if (![[NSFileManager defaultManager] isReadableFileAtPath:name])
      return failure(Code::not_found, "there is no readable file \"%s\"", path.c_str());
    NSError* error = nil;
    id<MTLLibrary> library =
        [as<id<MTLDevice>>(device->metal) newLibraryWithURL:[NSURL fileURLWithPath:name]
                                                      error:&error];
    return opened(std::move(device), library, error, Code::corrupt);
  }
}

Outcome<std::shared_ptr<Library>> Library::from_source(std::shared_ptr<Device> device,
                                                       const std::string& source,
                                                       bool precise_math) {
  @autoreleasepool {
    MTLCompileOptions* options = [[[MTLCompileOptions alloc] init] autorelease];
    [options setFastMathEnabled:!precise_math];
    NSError* error = nil;
    id<MTLLibrary> library = [as<id<MTLDevice>>(device->metal) newLibraryWithSource:string(source)
                                                                            options:options
                                                                              error:&error];
    // What is not a message of the compiler says that there is none.
    Code code = library ? Code::ok : status_of(error, Code::unsupported).code;
    return opened(std::move(device), library, error, code);
  }
}

Status Library::unknown(const std::string& name) const {
  std::string some;
  for (size_t i = 0; i < names_.size() && i < 8; ++i) some += (i ? ", " : ": ") + names_[i];
  return failure(Code::not_found, "the library has no function \"%s\"; it has %zu%s%s",
                 name.c_str(), names_.size(), some.c_str(), names_.size() > 8 ? ", ..." : "");
}

Outcome<const Function*> Library::function(const std::string& name) {
  std::lock_guard lock(mutex_);
  auto& known = functions_[name];
  if (known) return known.get();
  @autoreleasepool {
    id<MTLFunction> metal_function = [(id<MTLLibrary>)part(name) newFunctionWithName:string(name)];
    if (metal_function == nil) {
      functions_.erase(name);
      return unknown(name);
    }
    Object owner = adopt(metal_function);
    auto function = std::make_unique<Function>();
    function->name = name;
    function->is_kernel = [metal_function functionType] == MTLFunctionTypeKernel;
    function->constants = constants_of(metal_function);
    if ([metal_function respondsToSelector:@selector(mfaGetVersions:)])
      [(id<MFAFunctionExtras>)metal_function mfaGetVersions:function->versions];
    if ([metal_function respondsToSelector:@selector(mfaBindings)]) {
      function->arguments = arguments_of([(id<MFAFunctionExtras>)metal_function mfaBindings]);
      function->has_arguments = true;
    } else if (function->constants.empty() && function->is_kernel) {
      // Metal reflects pipelines only; one without constants is the function as it stands.
      MTLAutoreleasedComputePipelineReflection reflection = nil;
      id<MTLComputePipelineState> state = [as<id<MTLDevice>>(device->metal)
          newComputePipelineStateWithFunction:metal_function
                                      options:MTLPipelineOptionArgumentInfo |
                                              MTLPipelineOptionBufferTypeInfo
                                   reflection:&reflection
                                        error:NULL];
      if (state != nil) {
        function->arguments = arguments_of([reflection bindings]);
        function->has_arguments = true;
        [state release];
      }
    }
    known = std::move(function);
    return known.get();
  }
}

Outcome<std::shared_ptr<Pipeline>> Library::pipeline(const std::string& name,
                                                     const std::vector<ConstantValue>& values) {
  auto declared = function(name);
  if (!declared.ok()) return declared.status();
  if (!(*declared)->is_kernel)
    return failure(Code::invalid_argument, "function \"%s\" is not a kernel", name.c_str());
  MFA_TRY(check(**declared, values));

  @autoreleasepool {
    MTLFunctionConstantValues* set = [[[MTLFunctionConstantValues alloc] init] autorelease];
    for (const ConstantValue& value : values)
      [set setConstantValue:value.bytes.data()
                       type:(MTLDataType)value.type
                    atIndex:declaration(**declared, value)->index];
    NSError* error = nil;
    id<MTLFunction> specialized = [(id<MTLLibrary>)part(name) newFunctionWithName:string(name)
                                                                   constantValues:set
                                                                            error:&error];
    if (specialized == nil) return status_of(error, Code::compile);
    Object owner = adopt(specialized);
    MTLAutoreleasedComputePipelineReflection reflection = nil;
    id<MTLComputePipelineState> state = [as<id<MTLDevice>>(device->metal)
        newComputePipelineStateWithFunction:specialized
                                    options:MTLPipelineOptionArgumentInfo |
                                            MTLPipelineOptionBufferTypeInfo
                                 reflection:&reflection
                                      error:&error];
    if (state == nil) return status_of(error, Code::compile);
    auto pipeline = std::make_shared<Pipeline>();
    pipeline->metal = adopt(state);
    pipeline->device = device;
    pipeline->function = name;
    pipeline->max_threads = (uint32_t)[state maxTotalThreadsPerThreadgroup];
    pipeline->simd_width = (uint32_t)[state threadExecutionWidth];
    pipeline->static_threadgroup_memory = [state staticThreadgroupMemoryLength];
    if ([state respondsToSelector:@selector(mfaCodeBytes)])
      pipeline->code_bytes = [(id<MFAPipelineExtras>)state mfaCodeBytes];
    pipeline->arguments = arguments_of([reflection bindings]);
    return pipeline;
  }
}

}  // namespace mfa::host
