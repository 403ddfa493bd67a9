// SPDX-License-Identifier: MIT
// Grids of all kinds reach every thread once, with the bindings made before the dispatch.
#include <atomic>
#include <thread>
#include <vector>

#import "harness.h"
#import "kernels.h"

static id<MTLBuffer> zeros(id<MTLDevice> device, NSUInteger length) {
  return [(id)[device newBufferWithLength:length options:MTLResourceStorageModeShared] autorelease];
}

static void run(id<MTLDevice> device, void (^encode)(id<MTLComputeCommandEncoder>)) {
  id<MTLCommandQueue> queue = [[device newCommandQueue] autorelease];
  id<MTLCommandBuffer> commands = [queue commandBuffer];
  id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
  encode(encoder);
  [encoder endEncoding];
  [commands commit];
  [commands waitUntilCompleted];
  if ([commands error]) fprintf(stderr, "%s\n", text([commands error]).c_str());
  CHECK([commands status] == MTLCommandBufferStatusCompleted);
}

static void bindings_hold_until_they_are_changed(id<MTLDevice> device) {
  id<MTLComputePipelineState> scale = pipeline_of(device, scale_source, "scale");
  id<MTLBuffer> x = buffer_of<float>(device, 64, [](size_t i) { return float(i); });
  run(device, ^(id<MTLComputeCommandEncoder> encoder) {
    float a = 2, b = 1;
    [encoder setComputePipelineState:scale];
    [encoder setBuffer:x offset:0 atIndex:0];
    [encoder setBytes:&a length:sizeof a atIndex:1];
    [encoder setBytes:&b length:sizeof b atIndex:3];
    a = b = 100;  // setBytes copies
    const MTLSize one = MTLSizeMake(1, 1, 1), half = MTLSizeMake(32, 1, 1);
    [encoder dispatchThreadgroups:one threadsPerThreadgroup:half];
    [encoder setBufferOffset:32 * sizeof(float) atIndex:0];
    b = 0.25f;
    [encoder setBytes:&b length:sizeof b atIndex:3];
    [encoder memoryBarrierWithScope:MTLBarrierScopeBuffers];
    [encoder dispatchThreads:half threadsPerThreadgroup:one];
    [encoder dispatchThreads:MTLSizeMake(0, 1, 1) threadsPerThreadgroup:half];  // nothing
  });
  const auto* values = static_cast<const float*>([x contents]);
  for (int i = 0; i < 64; ++i) CHECK(values[i] == 2 * i + (i < 32 ? 1 : 0.25f));
}

static void buffers_are_set_in_ranges(id<MTLDevice> device) {
  id<MTLComputePipelineState> scale = pipeline_of(device, scale_source, "scale");
  id<MTLBuffer> x = buffer_of<float>(device, 40, [](size_t i) { return float(i); });
  id<MTLBuffer> numbers = buffer_of<float>(device, 2, [](size_t i) { return i ? 7.0f : 3.0f; });
  run(device, ^(id<MTLComputeCommandEncoder> encoder) {
    const id<MTLBuffer> buffers[] = {x, numbers, nil, numbers};
    const NSUInteger offsets[] = {4, 0, 0, 4};
    [encoder setBuffers:buffers offsets:offsets withRange:NSMakeRange(0, 4)];
    [encoder setComputePipelineState:scale];
    [encoder dispatchThreads:MTLSizeMake(39, 1, 1) threadsPerThreadgroup:MTLSizeMake(39, 1, 1)];
  });
  const auto* values = static_cast<const float*>([x contents]);
  CHECK(values[0] == 0);
  for (int i = 1; i < 40; ++i) CHECK(values[i] == 3 * i + 7);
}

/// A promise of whole simdgroups holds inside the grid; at its edge dispatchThreads may still leave
/// a part of one, whose missing lanes do not run.
static void promised_simdgroups_are_whole(id<MTLDevice> device) {
  NSError* error = nil;
  MTLComputePipelineDescriptor* promise = [[[MTLComputePipelineDescriptor alloc] init] autorelease];
  promise.computeFunction =
      [(id)[library_of(device, scale_source) newFunctionWithName:@"scale"] autorelease];
  promise.threadGroupSizeIsMultipleOfThreadExecutionWidth = YES;
  id<MTLComputePipelineState> scale =
      [(id)[device newComputePipelineStateWithDescriptor:promise
                                                 options:MTLPipelineOptionNone
                                              reflection:nullptr
                                                   error:&error] autorelease];
  REQUIRE(scale);
  id<MTLBuffer> x = buffer_of<float>(device, 192, [](size_t i) { return float(i); });
  run(device, ^(id<MTLComputeCommandEncoder> encoder) {
    const float a = 2, b = 1;
    [encoder setComputePipelineState:scale];
    [encoder setBuffer:x offset:0 atIndex:0];
    [encoder setBytes:&a length:sizeof a atIndex:1];
    [encoder setBytes:&b length:sizeof b atIndex:3];
    [encoder dispatchThreadgroups:MTLSizeMake(1, 1, 1) threadsPerThreadgroup:MTLSizeMake(64, 1, 1)];
    [encoder setBufferOffset:64 * sizeof(float) atIndex:0];
    [encoder dispatchThreads:MTLSizeMake(77, 1, 1) threadsPerThreadgroup:MTLSizeMake(64, 1, 1)];
  });
  const auto* values = static_cast<const float*>([x contents]);
  for (int i = 0; i < 192; ++i) CHECK(values[i] == (i < 64 + 77 ? 2 * i + 1 : i));
}

static void every_thread_knows_its_place(id<MTLDevice> device, MTLSize grid, MTLSize group) {
  id<MTLComputePipelineState> positions = pipeline_of(device, positions_source, "positions");
  id<MTLBuffer> out = zeros(device, grid.width * grid.height * grid.depth * 16);
  run(device, ^(id<MTLComputeCommandEncoder> encoder) {
    [encoder setComputePipelineState:positions];
    [encoder setBuffer:out offset:0 atIndex:0];
    [encoder dispatchThreads:grid threadsPerThreadgroup:group];
  });
  const auto* seen = static_cast<const uint32_t*>([out contents]);
  int wrong = 0;
  for (NSUInteger z = 0; z < grid.depth; ++z) {
    for (NSUInteger y = 0; y < grid.height; ++y) {
      for (NSUInteger x = 0; x < grid.width; ++x, seen += 4) {
        // Groups at the far edges of a grid that does not divide evenly are smaller.
        const NSUInteger width = MIN(group.width, grid.width - x / group.width * group.width);
        const NSUInteger height = MIN(group.height, grid.height - y / group.height * group.height);
        const NSUInteger index =
            (z % group.depth * height + y % group.height) * width + x % group.width;
        wrong += seen[0] != x + 100 * y + 10000 * z || seen[1] != width || seen[2] != height ||
                 seen[3] != index;
      }
    }
  }
  CHECK(wrong == 0);
}

static void the_grid_can_come_from_a_buffer(id<MTLDevice> device) {
  id<MTLComputePipelineState> positions = pipeline_of(device, positions_source, "positions");
  id<MTLBuffer> out = zeros(device, 10 * 8 * 16), counts = zeros(device, 64);
  const MTLDispatchThreadgroupsIndirectArguments groups = {{5, 2, 1}};
  run(device, ^(id<MTLComputeCommandEncoder> encoder) {
    [encoder setComputePipelineState:positions];
    [encoder setBuffer:out offset:0 atIndex:0];
    [encoder dispatchThreadgroupsWithIndirectBuffer:counts
                               indirectBufferOffset:16
                              threadsPerThreadgroup:MTLSizeMake(2, 4, 1)];
    // Read when the command runs, not when it is encoded.
    memcpy(static_cast<char*>([counts contents]) + 16, &groups, sizeof groups);
  });
  const auto* seen = static_cast<const uint32_t*>([out contents]);
  for (uint32_t i = 0; i < 80; ++i) CHECK(seen[4 * i] == i % 10 + 100 * (i / 10));
}

static void threadgroup_memory_is_shared(id<MTLDevice> device) {
  id<MTLComputePipelineState> group_sum = pipeline_of(device, group_sum_source, "group_sum");
  id<MTLBuffer> x = buffer_of<int>(device, 8 * 256, [](size_t i) { return int(i); });
  id<MTLBuffer> sums = zeros(device, 8 * sizeof(int));
  run(device, ^(id<MTLComputeCommandEncoder> encoder) {
    [encoder setComputePipelineState:group_sum];
    [encoder setBuffer:x offset:0 atIndex:0];
    [encoder setBuffer:sums offset:0 atIndex:1];
    [encoder setThreadgroupMemoryLength:256 * sizeof(int) atIndex:2];
    [encoder dispatchThreadgroups:MTLSizeMake(8, 1, 1)
            threadsPerThreadgroup:MTLSizeMake(256, 1, 1)];
  });
  for (int g = 0; g < 8; ++g) {
    CHECK(static_cast<int*>([sums contents])[g] == 256 * (256 * g) + 255 * 128);
  }
}

static void dispatches_of_one_buffer_see_each_other(id<MTLDevice> device) {
  id<MTLComputePipelineState> scale = pipeline_of(device, scale_source, "scale");
  id<MTLBuffer> x = zeros(device, 1000 * sizeof(float));
  run(device, ^(id<MTLComputeCommandEncoder> encoder) {
    const float one = 1;
    [encoder setBuffer:x offset:0 atIndex:0];
    [encoder setBytes:&one length:sizeof one atIndex:1];
    [encoder setBytes:&one length:sizeof one atIndex:3];
    for (int i = 0; i < 300; ++i) {
      [encoder setComputePipelineState:scale];
      [encoder dispatchThreads:MTLSizeMake(1000, 1, 1) threadsPerThreadgroup:MTLSizeMake(96, 1, 1)];
    }
  });
  for (int i = 0; i < 1000; ++i) CHECK(static_cast<float*>([x contents])[i] == 300);
}

/// An encoder of concurrent dispatches orders those on both sides of a barrier.
static void barriers_order_concurrent_dispatches(id<MTLDevice> device) {
  id<MTLComputePipelineState> scale = pipeline_of(device, scale_source, "scale");
  id<MTLBuffer> x = buffer_of<float>(device, 2000, [](size_t i) { return float(i % 1000); });
  id<MTLCommandQueue> queue = [[device newCommandQueue] autorelease];
  id<MTLCommandBuffer> commands = [queue commandBuffer];
  id<MTLComputeCommandEncoder> encoder =
      [commands computeCommandEncoderWithDispatchType:MTLDispatchTypeConcurrent];
  CHECK([encoder dispatchType] == MTLDispatchTypeConcurrent);
  [encoder setComputePipelineState:scale];
  for (int i = 0; i < 20; ++i) {
    const float a = i % 2 ? 1 : 2, b = i % 2 ? 1 : 0;  // twice, then one more
    [encoder setBytes:&a length:sizeof a atIndex:1];
    [encoder setBytes:&b length:sizeof b atIndex:3];
    for (NSUInteger half = 0; half < 2; ++half) {  // these two may run at the same time
      [encoder setBuffer:x offset:half * 1000 * sizeof(float) atIndex:0];
      [encoder dispatchThreads:MTLSizeMake(1000, 1, 1) threadsPerThreadgroup:MTLSizeMake(64, 1, 1)];
    }
    if (i % 3) {
      [encoder memoryBarrierWithScope:MTLBarrierScopeBuffers];
    } else {
      const id<MTLResource> resources[] = {x};
      [encoder memoryBarrierWithResources:resources count:1];
    }
  }
  [encoder endEncoding];
  [commands commit];
  [commands waitUntilCompleted];
  CHECK([commands status] == MTLCommandBufferStatusCompleted);
  for (int i = 0; i < 2000; ++i)  // x -> 2 x + 1, ten times
    CHECK(static_cast<float*>([x contents])[i] == 1024 * float(i % 1000) + 1023);
}

/// Encoders of one command buffer run in order; a fence between them says the same once more.
static void encoders_run_in_order(id<MTLDevice> device) {
  id<MTLComputePipelineState> scale = pipeline_of(device, scale_source, "scale");
  id<MTLBuffer> x = buffer_of<float>(device, 64, [](size_t i) { return float(i); });
  id<MTLBuffer> copy = zeros(device, 64 * sizeof(float));
  id<MTLCommandQueue> queue = [[device newCommandQueue] autorelease];
  id<MTLFence> fence = [[device newFence] autorelease];
  id<MTLEvent> event = [[device newEvent] autorelease];
  id<MTLCommandBuffer> commands = [queue commandBuffer];
  const float a = 3, b = 1;
  id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
  [encoder setComputePipelineState:scale];
  [encoder setBuffer:x offset:0 atIndex:0];
  [encoder setBytes:&a length:sizeof a atIndex:1];
  [encoder setBytes:&b length:sizeof b atIndex:3];
  [encoder dispatchThreads:MTLSizeMake(64, 1, 1) threadsPerThreadgroup:MTLSizeMake(64, 1, 1)];
  [encoder updateFence:fence];
  [encoder endEncoding];
  [commands encodeSignalEvent:event value:1];
  [commands encodeWaitForEvent:event value:1];
  id<MTLBlitCommandEncoder> blit = [commands blitCommandEncoder];
  [blit waitForFence:fence];
  [blit copyFromBuffer:x sourceOffset:0 toBuffer:copy destinationOffset:0 size:[copy length]];
  [blit fillBuffer:x range:NSMakeRange(0, [x length]) value:0];
  [blit endEncoding];
  [commands commit];
  [commands waitUntilCompleted];
  for (int i = 0; i < 64; ++i) {
    CHECK(static_cast<float*>([copy contents])[i] == 3 * i + 1);
    CHECK(static_cast<float*>([x contents])[i] == 0);
  }
}

static void threads_compile_and_dispatch_at_once(id<MTLDevice> device) {
  id<MTLLibrary> library = library_of(device, scale_source);
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      @autoreleasepool {
        id<MTLFunction> function = [library newFunctionWithName:@"scale"];
        id<MTLComputePipelineState> scale = [device newComputePipelineStateWithFunction:function
                                                                                  error:NULL];
        id<MTLCommandQueue> queue = [device newCommandQueue];
        id<MTLBuffer> x = zeros(device, 500 * sizeof(float));
        const float one = 1, add = float(t + 1);
        for (int i = 0; i < 50; ++i) {
          id<MTLCommandBuffer> commands = [queue commandBuffer];
          id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
          [encoder setComputePipelineState:scale];
          [encoder setBuffer:x offset:0 atIndex:0];
          [encoder setBytes:&one length:sizeof one atIndex:1];
          [encoder setBytes:&add length:sizeof add atIndex:3];
          [encoder dispatchThreads:MTLSizeMake(500, 1, 1)
              threadsPerThreadgroup:MTLSizeMake(64, 1, 1)];
          [encoder endEncoding];
          [commands commit];
          if (i % 10 == 9) [commands waitUntilCompleted];
        }
        for (int i = 0; i < 500; ++i) {
          wrong += static_cast<float*>([x contents])[i] != 50 * float(t + 1);
        }
        [(id)queue release];
        [(id)scale release];
        [(id)function release];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

int main() {
  on_all_devices([](id<MTLDevice> device) {
    bindings_hold_until_they_are_changed(device);
    buffers_are_set_in_ranges(device);
    promised_simdgroups_are_whole(device);
    every_thread_knows_its_place(device, MTLSizeMake(64, 2, 2), MTLSizeMake(32, 2, 1));
    every_thread_knows_its_place(device, MTLSizeMake(100, 1, 1), MTLSizeMake(48, 1, 1));
    every_thread_knows_its_place(device, MTLSizeMake(17, 9, 3), MTLSizeMake(5, 4, 2));
    every_thread_knows_its_place(device, MTLSizeMake(3, 1, 1), MTLSizeMake(1024, 1, 1));
    the_grid_can_come_from_a_buffer(device);
    threadgroup_memory_is_shared(device);
    dispatches_of_one_buffer_see_each_other(device);
    barriers_order_concurrent_dispatches(device);
    encoders_run_in_order(device);
    threads_compile_and_dispatch_at_once(device);
  });
  return report();
}
