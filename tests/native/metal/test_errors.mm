// SPDX-License-Identifier: MIT
// What cannot run ends its command buffer in an error that says why; nothing else happens.
#import "harness.h"
#import "kernels.h"

using Encoder = id<MTLComputeCommandEncoder>;

struct Bench {
  id<MTLDevice> device;
  id<MTLCommandQueue> queue;
  id<MTLComputePipelineState> scale, group_sum;
  id<MTLBuffer> x;
};

static const MTLSize one = {1, 1, 1}, many = {32, 1, 1};

static void set_up(const Bench& bench, Encoder encoder) {
  const float number = 1;
  [encoder setComputePipelineState:bench.scale];
  [encoder setBuffer:bench.x offset:0 atIndex:0];
  [encoder setBytes:&number length:sizeof number atIndex:1];
  [encoder setBytes:&number length:sizeof number atIndex:3];
}

static void dispatch(Encoder encoder) {
  [encoder dispatchThreadgroups:one threadsPerThreadgroup:many];
}

/// Runs `encode` between two good dispatches: the first happens, the last one does not.
static void fails(const Bench& bench, const char* words, void (^encode)(Encoder encoder)) {
  memset([bench.x contents], 0, [bench.x length]);
  id<MTLCommandBuffer> commands = [bench.queue commandBuffer];
  Encoder encoder = [commands computeCommandEncoder];
  set_up(bench, encoder);
  dispatch(encoder);
  encode(encoder);
  CHECK(says([(id<MFAEncoderExtras>)encoder mfaEncodingError], words));
  set_up(bench, encoder);
  dispatch(encoder);
  [encoder endEncoding];
  [commands commit];
  [commands waitUntilCompleted];
  CHECK([commands status] == MTLCommandBufferStatusError);
  CHECK([[[commands error] domain] isEqualToString:MTLCommandBufferErrorDomain]);
  CHECK([[commands error] code] == MTLCommandBufferErrorInvalidResource);
  CHECK(says([commands error], words));
  CHECK(*static_cast<float*>([bench.x contents]) == 1);
}

static void bad_bindings_are_named(const Bench& bench) {
  fails(bench,
        "kernel 'scale', argument 'x' at buffer index 0: nothing is bound; expected a buffer",
        ^(Encoder e) {
          [e setBuffer:nil offset:0 atIndex:0];
          dispatch(e);
        });
  fails(bench, "argument 'b' at buffer index 3: 2 bytes are bound; expected 4 bytes (float)",
        ^(Encoder e) {
          [e setBuffer:bench.x offset:[bench.x length] - 2 atIndex:3];
          dispatch(e);
        });
  fails(bench, "argument 'x' at buffer index 0: offset 1000000 is beyond the buffer's 128 bytes",
        ^(Encoder e) {
          [e setBufferOffset:1000000 atIndex:0];
          dispatch(e);
        });
  fails(bench, "not a multiple of 4, the alignment of float", ^(Encoder e) {
    [e setBufferOffset:6 atIndex:0];
    dispatch(e);
  });
  fails(bench, "index 31; expected 0 to 30", ^(Encoder e) {
    [e setBuffer:bench.x offset:0 atIndex:31];
  });
  fails(bench, "5000 bytes at index 2; expected at most 4096", ^(Encoder e) {
    char bytes[5000] = {};
    [e setBytes:bytes length:sizeof bytes atIndex:2];
  });
  fails(bench, "no buffer is bound at index 9", ^(Encoder e) {
    [e setBufferOffset:0 atIndex:9];
  });
}

static void bad_grids_are_named(const Bench& bench) {
  fails(bench, "kernel 'scale': 32 x 32 x 2 threads per threadgroup; expected 1 to 1024",
        ^(Encoder e) {
          [e dispatchThreads:many threadsPerThreadgroup:MTLSizeMake(32, 32, 2)];
        });
  fails(bench, "32 x 0 x 1 threads per threadgroup", ^(Encoder e) {
    [e dispatchThreads:many threadsPerThreadgroup:MTLSizeMake(32, 0, 1)];
  });
  fails(bench, "expected fewer than 2^32 threads along each axis", ^(Encoder e) {
    [e dispatchThreadgroups:MTLSizeMake(1ul << 30, 1, 1) threadsPerThreadgroup:many];
  });
  fails(bench, "with 12 bytes at an offset that is a multiple of 4, got offset 120", ^(Encoder e) {
    [e dispatchThreadgroupsWithIndirectBuffer:bench.x
                         indirectBufferOffset:120
                        threadsPerThreadgroup:many];
  });
}

static void bad_threadgroup_memory_is_named(const Bench& bench) {
  fails(bench, "argument 'part' at threadgroup index 2: no threadgroup memory length is set",
        ^(Encoder e) {
          [e setBuffer:bench.x offset:0 atIndex:1];
          [e setComputePipelineState:bench.group_sum];
          dispatch(e);
        });
  fails(bench, "kernel 'group_sum': 300000 bytes of threadgroup memory; expected at most 262144",
        ^(Encoder e) {
          [e setBuffer:bench.x offset:0 atIndex:1];
          [e setThreadgroupMemoryLength:300000 atIndex:2];
          [e setComputePipelineState:bench.group_sum];
          dispatch(e);
        });
  fails(bench, "20 bytes at index 0; expected a multiple of 16", ^(Encoder e) {
    [e setThreadgroupMemoryLength:20 atIndex:0];
  });
}

static void encoders_end_once(const Bench& bench) {
  fails(bench, "a command was encoded after -endEncoding", ^(Encoder e) {
    [e endEncoding];
    dispatch(e);
  });

  id<MTLCommandBuffer> commands = [bench.queue commandBuffer];
  Encoder encoder = [commands computeCommandEncoder];
  CHECK(![commands blitCommandEncoder]);
  [encoder endEncoding];
  [commands commit];
  [commands waitUntilCompleted];
  CHECK(says([commands error], "-blitCommandEncoder before -endEncoding"));
  CHECK(![commands computeCommandEncoder]);

  commands = [bench.queue commandBuffer];
  encoder = [commands computeCommandEncoder];
  [commands commit];
  [commands waitUntilCompleted];
  CHECK(says([commands error], "committed before -endEncoding"));
  set_up(bench, encoder);  // too late, and harmless
  dispatch(encoder);

  commands = [bench.queue commandBuffer];
  @autoreleasepool {
    [commands computeCommandEncoder];
  }
  [commands commit];
  [commands waitUntilCompleted];
  CHECK(says([commands error], "released before -endEncoding"));
}

static void pipelines_are_needed(const Bench& bench) {
  id<MTLCommandBuffer> commands = [bench.queue commandBuffer];
  Encoder encoder = [commands computeCommandEncoder];
  dispatch(encoder);
  [encoder endEncoding];
  [commands commit];
  [commands waitUntilCompleted];
  CHECK(says([commands error], "without -setComputePipelineState:"));
}

static void bad_blits_are_named(const Bench& bench) {
  id<MTLCommandBuffer> commands = [bench.queue commandBuffer];
  id<MTLBlitCommandEncoder> blit = [commands blitCommandEncoder];
  [blit fillBuffer:bench.x range:NSMakeRange(100, 29) value:1];
  [blit endEncoding];
  [commands commit];
  [commands waitUntilCompleted];
  CHECK(says([commands error], "29 bytes at offset 100; the buffer has 128"));
}

static void asking_first_encodes_nothing(const Bench& bench) {
  id<MTLCommandBuffer> commands = [bench.queue commandBuffer];
  Encoder encoder = [commands computeCommandEncoder];
  id<MFAEncoderExtras> extras = (id<MFAEncoderExtras>)encoder;
  CHECK(says([extras mfaErrorForDispatchThreads:many threadsPerThreadgroup:one],
             "without -setComputePipelineState:"));
  set_up(bench, encoder);
  CHECK(![extras mfaErrorForDispatchThreads:many threadsPerThreadgroup:one]);
  CHECK(says([extras mfaErrorForDispatchThreads:many threadsPerThreadgroup:MTLSizeMake(2000, 1, 1)],
             "2000 x 1 x 1 threads per threadgroup"));
  [encoder setBuffer:nil offset:0 atIndex:1];
  CHECK(says([extras mfaErrorForDispatchThreadgroups:one threadsPerThreadgroup:many],
             "argument 'a' at buffer index 1: nothing is bound"));
  CHECK(![extras mfaEncodingError]);
  [encoder endEncoding];
  [commands commit];
  [commands waitUntilCompleted];
  CHECK([commands status] == MTLCommandBufferStatusCompleted);
}

int main() {
  on_all_devices([](id<MTLDevice> device) {
    const Bench bench = {
        device,
        [[device newCommandQueue] autorelease],
        pipeline_of(device, scale_source, "scale"),
        pipeline_of(device, group_sum_source, "group_sum"),
        buffer_of<float>(device, 32, [](size_t) { return 0.0f; }),
    };
    bad_bindings_are_named(bench);
    bad_grids_are_named(bench);
    bad_threadgroup_memory_is_named(bench);
    encoders_end_once(bench);
    pipelines_are_needed(bench);
    bad_blits_are_named(bench);
    asking_first_encodes_nothing(bench);
  });
  return report();
}
