// SPDX-License-Identifier: MIT
// Libraries list functions, functions take constants, pipelines reflect; refusals say what is
// wrong.
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#import "harness.h"
#import "kernels.h"

static NSString* string(const char* text) { return [NSString stringWithUTF8String:text]; }

static void damaged_libraries_are_refused(id<MTLDevice> device) {
  NSError* error = nil;
  char nothing[200];
  memset(nothing, 'x', sizeof nothing);
  dispatch_data_t data =
      dispatch_data_create(nothing, sizeof nothing, nil, DISPATCH_DATA_DESTRUCTOR_DEFAULT);
  CHECK(dispatch_data_get_size(data) == sizeof nothing);
  CHECK(![device newLibraryWithData:data error:&error]);
  CHECK([[error domain] isEqualToString:MTLLibraryErrorDomain]);
  CHECK([error code] == MTLLibraryErrorUnsupported && text(error) != "");
  dispatch_release(data);
  CHECK(![device newLibraryWithData:data = nil error:NULL]);
  CHECK(![device newLibraryWithFile:@"/nowhere/at/all.metallib" error:&error]);
  CHECK([error code] == MTLLibraryErrorFileNotFound);
  CHECK(says(error, "/nowhere/at/all.metallib: No such file"));
  CHECK(![device newLibraryWithURL:[NSURL URLWithString:@"https://example.org/x"] error:&error]);
  CHECK([error code] == MTLLibraryErrorFileNotFound);
}

static void source_is_compiled(id<MTLDevice> device) {
  id<MTLLibrary> library = library_of(device, constants_source);
  CHECK([[library functionNames] isEqual:[NSArray arrayWithObject:@"constants"]]);
  CHECK([library device] == device);
  CHECK(![library newFunctionWithName:@"nothing"]);
  NSError* error = nil;
  CHECK(![library newFunctionWithName:@"nothing"
                       constantValues:[[[MTLFunctionConstantValues alloc] init] autorelease]
                                error:&error]);
  CHECK([error code] == MTLLibraryErrorFunctionNotFound && says(error, "'nothing'"));

  CHECK(![device newLibraryWithSource:@"kernel void broken() {\n  int x = ;\n}\n"
                              options:nil
                                error:&error]);
  CHECK([error code] == MTLLibraryErrorCompileFailure);
  CHECK(says(error, "program_source:2:11"));
}

static void macros_reach_the_compiler(id<MTLDevice> device) {
  MTLCompileOptions* options = [[[MTLCompileOptions alloc] init] autorelease];
  [options setPreprocessorMacros:@{@"NAME" : @"by_macro", @"COUNT" : @3}];
  [options setFastMathEnabled:NO];
  CHECK([options mathMode] == MTLMathModeSafe);
  NSError* error = nil;
  id<MTLLibrary> library =
      [device newLibraryWithSource:@"#if COUNT != 3\n#error\n#endif\n"
                                   @"kernel void NAME(device int *x [[buffer(0)]]) { *x = COUNT; }"
                           options:options
                             error:&error];
  if (!library) fprintf(stderr, "%s\n", text(error).c_str());
  CHECK([[library functionNames] isEqual:[NSArray arrayWithObject:@"by_macro"]]);
  [(id)library release];
}

/// Nothing of a compilation is left behind in this process.
static void compiling_leaves_no_files_open(id<MTLDevice> device) {
  const int before = dup(0);
  close(before);
  for (int i = 0; i < 3; ++i) {
    @autoreleasepool {
      library_of(device, scale_source);
    }
  }
  const int after = dup(0);
  close(after);
  CHECK(before == after);
}

static void a_missing_compiler_is_an_error(id<MTLDevice> device) {
  const char* installed = getenv("MFA_METALC");
  const std::string saved = installed ? installed : "";
  setenv("MFA_METALC", "/nowhere/mfa-metalc", 1);
  NSError* error = nil;
  CHECK(![device newLibraryWithSource:string(scale_source) options:nil error:&error]);
  CHECK(says(error, "the Metal compiler is not installed: /nowhere/mfa-metalc"));
  if (installed) {
    setenv("MFA_METALC", saved.c_str(), 1);
  } else {
    unsetenv("MFA_METALC");
  }
}

static void constants_are_declared(id<MTLDevice> device) {
  id<MTLFunction> function =
      [library_of(device, constants_source) newFunctionWithName:@"constants"];
  CHECK([function functionType] == MTLFunctionTypeKernel);
  NSDictionary* declared = [function functionConstantsDictionary];
  CHECK([declared count] == 3);
  MTLFunctionConstant* factor = [declared objectForKey:@"factor"];
  MTLFunctionConstant* value = [declared objectForKey:@"optional_value"];
  CHECK([factor index] == 0 && [factor type] == MTLDataTypeUInt && [factor required]);
  CHECK([value index] == 7 && [value type] == MTLDataTypeFloat && ![value required]);
  CHECK([[(id<MFAFunctionExtras>)function mfaBindings] count] == 2);

  NSError* error = nil;  // nothing has been specialised yet
  CHECK(![device newComputePipelineStateWithFunction:function error:&error]);
  CHECK(
      says(error, "function 'constants': function constant 'factor' (index 0, uint) has no value"));
  [(id)function release];
}

static void constants_are_checked(id<MTLDevice> device) {
  id<MTLLibrary> library = library_of(device, constants_source);
  MTLFunctionConstantValues* values = [[[MTLFunctionConstantValues alloc] init] autorelease];
  NSError* error = nil;
  const uint32_t factor = 3;
  const float wrong = 1;
  [values setConstantValue:&factor type:MTLDataTypeUInt atIndex:0];
  CHECK(![library newFunctionWithName:@"constants" constantValues:values error:&error]);
  CHECK([error code] == MTLLibraryErrorCompileFailure);
  CHECK(says(error, "'with_bias' (index 1, bool) has no value"));
  [values setConstantValue:&wrong type:MTLDataTypeFloat withName:@"with_bias"];
  CHECK(![library newFunctionWithName:@"constants" constantValues:values error:&error]);
  CHECK(says(error, "'with_bias' (index 1, bool) was given a value of type float"));
  [values reset];
  CHECK(![library newFunctionWithName:@"constants" constantValues:values error:&error]);
  CHECK(says(error, "'factor' (index 0, uint) has no value"));
}

static MTLFunctionConstantValues* constant_values(uint32_t factor, bool with_bias) {
  MTLFunctionConstantValues* values = [[MTLFunctionConstantValues alloc] init];
  [values setConstantValue:&factor type:MTLDataTypeUInt atIndex:0];
  [values setConstantValue:&with_bias type:MTLDataTypeBool withName:@"with_bias"];
  return [values autorelease];
}

static float first_result(id<MTLDevice> device, MTLFunctionConstantValues* values, bool bias) {
  id<MTLComputePipelineState> state = pipeline_of(device, constants_source, "constants", values);
  id<MTLBuffer> x = buffer_of<float>(device, 4, [](size_t) { return 10.0f; });
  id<MTLCommandBuffer> commands = [[[device newCommandQueue] autorelease] commandBuffer];
  id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
  [encoder setComputePipelineState:state];
  [encoder setBuffer:x offset:0 atIndex:0];
  if (bias) [encoder setBuffer:x offset:0 atIndex:1];
  [encoder dispatchThreads:MTLSizeMake(1, 1, 1) threadsPerThreadgroup:MTLSizeMake(1, 1, 1)];
  [encoder endEncoding];
  [commands commit];
  [commands waitUntilCompleted];
  return *static_cast<float*>([x contents]);
}

static void constants_choose_variants(id<MTLDevice> device) {
  CHECK(first_result(device, constant_values(3, false), false) == 30.5f);
  CHECK(first_result(device, constant_values(3, true), true) == 40.5f);
  CHECK(first_result(device, constant_values(3, true), false) == 10);  // a binding is missing now
  MTLFunctionConstantValues* values = constant_values(2, false);
  const float two = 2;
  [values setConstantValue:&two type:MTLDataTypeFloat atIndex:7];
  MTLFunctionConstantValues* copy = [[values copy] autorelease];
  [values reset];
  CHECK(first_result(device, copy, false) == 22);
}

static void pipelines_reflect(id<MTLDevice> device) {
  id<MTLFunction> function =
      [library_of(device, group_sum_source) newFunctionWithName:@"group_sum"];
  MTLAutoreleasedComputePipelineReflection reflection = nil;
  NSError* error = nil;
  id<MTLComputePipelineState> state =
      [device newComputePipelineStateWithFunction:function
                                          options:MTLPipelineOptionArgumentInfo
                                       reflection:&reflection
                                            error:&error];
  CHECK([state maxTotalThreadsPerThreadgroup] == 1024);
  CHECK([state threadExecutionWidth] == 32);
  CHECK([state staticThreadgroupMemoryLength] == 0);
  CHECK([[reflection bindings] count] == 3);
  id<MTLBufferBinding> x = (id)[[reflection bindings] objectAtIndex:0];
  CHECK([[x name] isEqualToString:@"x"] && [x index] == 0 && [x isUsed]);
  CHECK([x access] == MTLBindingAccessReadOnly && [x bufferDataType] == MTLDataTypeInt);
  MTLArgument* part = [[reflection arguments] objectAtIndex:2];
  CHECK([part type] == MTLArgumentTypeThreadgroupMemory && [part index] == 2);
  [(id)state release];

  MTLComputePipelineDescriptor* descriptor =
      [[[MTLComputePipelineDescriptor alloc] init] autorelease];
  [descriptor setComputeFunction:function];
  [descriptor setMaxTotalThreadsPerThreadgroup:64];
  [descriptor setLabel:@"small"];
  state = [device newComputePipelineStateWithDescriptor:descriptor
                                                options:0
                                             reflection:NULL
                                                  error:&error];
  CHECK([state maxTotalThreadsPerThreadgroup] == 64 && [[state label] isEqualToString:@"small"]);
  [(id)state release];
  [(id)function release];
}

static void asynchronous_calls_answer_once(id<MTLDevice> device) {
  std::atomic<int> good{0}, bad{0}, *right = &good, *wrong = &bad;
  id<MTLFunction> function = [library_of(device, scale_source) newFunctionWithName:@"scale"];
  for (int i = 0; i < 4; ++i) {
    [device newComputePipelineStateWithFunction:function
                              completionHandler:^(id<MTLComputePipelineState> state, NSError*) {
                                ++*(state ? right : wrong);
                              }];
    [device
        newLibraryWithSource:i % 2 ? @"kernel void f() {}" : @"nonsense"
                     options:nil
           completionHandler:^(id<MTLLibrary> library, NSError* error) {
             ++*((library != nil) == (error == nil) && (library != nil) == i % 2 ? right : wrong);
           }];
  }
  for (int i = 0; i < 30000 && good + bad < 8; ++i) usleep(1000);
  CHECK(good == 8 && bad == 0);
  [(id)function release];
}

int main() {
  on_all_devices([](id<MTLDevice> device) {
    damaged_libraries_are_refused(device);
    source_is_compiled(device);
    macros_reach_the_compiler(device);
    compiling_leaves_no_files_open(device);
    a_missing_compiler_is_an_error(device);
    constants_are_declared(device);
    constants_are_checked(device);
    constants_choose_variants(device);
    pipelines_reflect(device);
    asynchronous_calls_answer_once(device);
  });
  return report();
}
