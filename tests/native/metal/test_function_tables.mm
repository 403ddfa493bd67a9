// SPDX-License-Identifier: MIT
// Function handles and visible function tables: what a kernel calls, and what is told of mistakes.
#include <vector>

#include "kernel.h"

#import "harness.h"

/// x[i] = table[i % 3](x[i]), with the table at index 4.
static const char kernel_text[] = R"(
declare ptr @air.get_function_pointer_visible_function_table(ptr addrspace(1), i32)
define void @k(ptr addrspace(1) %x, ptr addrspace(1) %table, i32 %i) {
  %w = zext i32 %i to i64
  %p = getelementptr i32, ptr addrspace(1) %x, i64 %w
  %old = load i32, ptr addrspace(1) %p
  %index = urem i32 %i, 3
  %f = call ptr @air.get_function_pointer_visible_function_table(ptr addrspace(1) %table, i32 %index)
  %new = call i32 %f(i32 %old)
  store i32 %new, ptr addrspace(1) %p
  ret void
}
!air.kernel = !{!0}
!0 = !{ptr @k, !1, !2}
!1 = !{}
!2 = !{!3, !4, !5}
!3 = !{i32 0, !"air.buffer", !"air.location_index", i32 0, i32 1, !"air.read_write", !"air.address_space", i32 1, !"air.arg_type_size", i32 4, !"air.arg_type_align_size", i32 4, !"air.arg_type_name", !"int", !"air.arg_name", !"x"}
!4 = !{i32 1, !"air.visible_function_table", !"air.location_index", i32 4, i32 1, !"air.read", !"air.arg_type_name", !"visible_function_table<int(int)>", !"air.arg_name", !"table"}
!5 = !{i32 2, !"air.thread_position_in_grid", !"air.arg_type_name", !"uint", !"air.arg_name", !"i"}
)";

static std::string visible_text(const char* operation) {
  return std::string("define i32 @f(i32 %x) {\n  %y = ") + operation +
         "\n  ret i32 %y\n}\n!air.visible = !{!0}\n!0 = !{ptr @f, !1, !1}\n!1 = !{}\n";
}

static id<MTLLibrary> library_with_functions(id<MTLDevice> device) {
  const std::vector<uint8_t> bytes =
      metallib_of(kernel_text, {visible_text("add i32 %x, 100"), visible_text("mul i32 %x, 2"),
                                visible_text("sub i32 0, %x")});
  dispatch_data_t data =
      dispatch_data_create(bytes.data(), bytes.size(), NULL, DISPATCH_DATA_DESTRUCTOR_DEFAULT);
  NSError* error = nil;
  id<MTLLibrary> library = [device newLibraryWithData:data error:&error];
  [(id)data release];
  REQUIRE(library);
  return [(id)library autorelease];
}

static id<MTLFunction> function_of(id<MTLLibrary> library, NSString* name) {
  id<MTLFunction> function = [library newFunctionWithName:name];
  REQUIRE(function);
  return [(id)function autorelease];
}

static id<MTLComputePipelineState> linked_state(id<MTLDevice> device, id<MTLLibrary> library,
                                                NSArray* functions, NSArray* hidden) {
  MTLComputePipelineDescriptor* descriptor =
      [[[MTLComputePipelineDescriptor alloc] init] autorelease];
  descriptor.computeFunction = function_of(library, @"k");
  MTLLinkedFunctions* linked = [MTLLinkedFunctions linkedFunctions];
  linked.functions = functions;
  linked.privateFunctions = hidden;
  descriptor.linkedFunctions = linked;
  NSError* error = nil;
  MTLComputePipelineReflection* reflection = nil;
  id<MTLComputePipelineState> state =
      [device newComputePipelineStateWithDescriptor:[[descriptor copy] autorelease]
                                            options:MTLPipelineOptionBindingInfo
                                         reflection:&reflection
                                              error:&error];
  if (!state) fprintf(stderr, "%s\n", text(error).c_str());
  REQUIRE(state);
  CHECK([[[reflection bindings] objectAtIndex:1] type] == MTLBindingTypeVisibleFunctionTable);
  return [(id)state autorelease];
}

static id<MTLVisibleFunctionTable> table_of(id<MTLComputePipelineState> state, NSUInteger count) {
  MTLVisibleFunctionTableDescriptor* descriptor =
      [MTLVisibleFunctionTableDescriptor visibleFunctionTableDescriptor];
  descriptor.functionCount = count;
  id<MTLVisibleFunctionTable> table = [state newVisibleFunctionTableWithDescriptor:descriptor];
  REQUIRE(table);
  return [(id)table autorelease];
}

/// The message of the failure, or nothing.
static std::string run(id<MTLDevice> device, id<MTLComputePipelineState> state, id<MTLBuffer> x,
                       id<MTLVisibleFunctionTable> table) {
  id<MTLCommandQueue> queue = [[device newCommandQueue] autorelease];
  id<MTLCommandBuffer> commands = [queue commandBuffer];
  id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
  [encoder setComputePipelineState:state];
  [encoder setBuffer:x offset:0 atIndex:0];
  if (table) [encoder setVisibleFunctionTable:table atBufferIndex:4];
  [encoder dispatchThreads:MTLSizeMake(60, 1, 1) threadsPerThreadgroup:MTLSizeMake(32, 1, 1)];
  [encoder endEncoding];
  [commands commit];
  [commands waitUntilCompleted];
  return text([commands error]);
}

static void kernels_call_what_the_table_holds(id<MTLDevice> device) {
  CHECK([device supportsFunctionPointers]);
  id<MTLLibrary> library = library_with_functions(device);
  id<MTLFunction> add = function_of(library, @"f0"), twice = function_of(library, @"f1");
  id<MTLFunction> negate = function_of(library, @"f2");
  CHECK([add functionType] == MTLFunctionTypeVisible);
  id<MTLComputePipelineState> state =
      linked_state(device, library, [NSArray arrayWithObjects:add, twice, nil],
                   [NSArray arrayWithObject:negate]);
  CHECK([[[state functionHandleWithFunction:twice] name] isEqual:@"f1"]);
  CHECK([state functionHandleWithFunction:negate] == nil);  // private

  id<MTLVisibleFunctionTable> table = table_of(state, 3);
  const id<MTLFunctionHandle> handles[] = {[state functionHandleWithFunction:twice],
                                           [state functionHandleWithFunction:add]};
  [table setFunctions:handles withRange:NSMakeRange(0, 2)];
  id<MTLBuffer> x = buffer_of<int>(device, 60, [](size_t i) { return int(i); });
  CHECK(run(device, state, x, table).empty());
  for (int i = 0; i < 60; ++i) {
    const int expected[] = {2 * i, i + 100, 0};  // an entry that is not set gives 0
    CHECK(static_cast<int*>([x contents])[i] == expected[i % 3]);
  }

  // Another table for the next dispatch.
  id<MTLVisibleFunctionTable> other = table_of(state, 3);
  for (NSUInteger i = 0; i < 3; ++i) [other setFunction:handles[1] atIndex:i];
  x = buffer_of<int>(device, 60, [](size_t i) { return int(i); });
  CHECK(run(device, state, x, other).empty());
  for (int i = 0; i < 60; ++i) CHECK(static_cast<int*>([x contents])[i] == i + 100);
}

static void mistakes_are_named(id<MTLDevice> device) {
  id<MTLLibrary> library = library_with_functions(device);
  id<MTLFunction> add = function_of(library, @"f0");
  NSArray* functions = [NSArray arrayWithObject:add];
  id<MTLComputePipelineState> state = linked_state(device, library, functions, nil);
  id<MTLComputePipelineState> second = linked_state(device, library, functions, nil);
  id<MTLBuffer> x = buffer_of<int>(device, 60, [](size_t i) { return int(i); });
  auto fails = [&](id<MTLVisibleFunctionTable> table, const char* words) {
    const std::string message = run(device, state, x, table);
    if (!CHECK(message.find(words) != std::string::npos))
      fprintf(stderr, "expected \"%s\" in: %s\n", words, message.c_str());
  };
  fails(nil, "argument 'table' at buffer index 4: nothing is bound");
  fails(table_of(second, 3), "expected a visible function table made by this kernel's pipeline");
  id<MTLVisibleFunctionTable> table = table_of(state, 3);
  [table setFunction:[second functionHandleWithFunction:add] atIndex:1];
  fails(table, "entry 1 of a visible function table: expected a handle");
  table = table_of(state, 3);
  [table setFunction:[state functionHandleWithFunction:add] atIndex:3];
  fails(table, "entry 3 of a visible function table: it has 3 entries");

  NSError* error = nil;
  CHECK(![device newComputePipelineStateWithFunction:function_of(library, @"k") error:&error]);
  CHECK(says(error, "argument 'table' is a function table"));
  CHECK(![device newComputePipelineStateWithFunction:add error:&error]);
  CHECK(says(error, "is not a kernel"));
}

int main() {
  on_all_devices([](id<MTLDevice> device) {
    kernels_call_what_the_table_holds(device);
    mistakes_are_named(device);
  });
  return report();
}
