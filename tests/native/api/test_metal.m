// SPDX-License-Identifier: MIT
// A Metal program of its own that has operations of libmfa encoded between its dispatches.
#include <stdio.h>
#include <string.h>

#import "mfa_metal.h"

enum { n = 48 };

static const char source[] =
    "#include <metal_stdlib>\n"
    "using namespace metal;\n"
    "kernel void twice(device const float *x [[buffer(0)]], device float *y [[buffer(1)]],\n"
    "                  uint i [[thread_position_in_grid]]) { y[i] = 2 * x[i]; }\n";

static int failures = 0;

static void expect(BOOL right, const char* what) {
  if (right) return;
  fprintf(stderr, "%s: %s\n", what, mfa_last_error());
  ++failures;
}

static void twice(id<MTLComputeCommandEncoder> encoder, id<MTLComputePipelineState> pipeline,
                  id<MTLBuffer> from, id<MTLBuffer> to) {
  [encoder setComputePipelineState:pipeline];
  [encoder setBuffer:from offset:0 atIndex:0];
  [encoder setBuffer:to offset:0 atIndex:1];
  [encoder dispatchThreads:MTLSizeMake(n * n, 1, 1) threadsPerThreadgroup:MTLSizeMake(32, 1, 1)];
}

/// y = 2 * ((2 * x) * x + bias), with the product by libmfa and the rest by this program, all in
/// its encoder.
static void mixed(mfa_device device, MTLDispatchType type, const char* name) {
  id<MTLDevice> metal = mfa_metal_device(device);
  expect(metal != nil, "mfa_metal_device");
  NSError* error = nil;
  id<MTLLibrary> library = [metal newLibraryWithSource:[NSString stringWithUTF8String:source]
                                               options:nil
                                                 error:&error];
  id<MTLFunction> function = [library newFunctionWithName:@"twice"];
  id<MTLComputePipelineState> pipeline = [metal newComputePipelineStateWithFunction:function
                                                                              error:&error];
  expect(pipeline != nil, "pipeline");
  if (pipeline == nil) return;
  id<MTLCommandQueue> queue = [metal newCommandQueue];
  id<MTLBuffer> x = [metal newBufferWithLength:sizeof(float) * n * n options:0];
  id<MTLBuffer> x2 = [metal newBufferWithLength:sizeof(float) * n * n options:0];
  id<MTLBuffer> product = [metal newBufferWithLength:sizeof(float) * n * n options:0];
  id<MTLBuffer> y = [metal newBufferWithLength:sizeof(float) * n * n options:0];
  float* values = [x contents];
  for (int i = 0; i < n * n; ++i) values[i] = (float)(i % 7 - 3);

  mfa_gemm_operands operands = MFA_GEMM_OPERANDS_INIT;
  expect(mfa_buffer_wrap_metal(device, x2, &operands.a.buffer) == MFA_OK, "wrap x2");
  expect(mfa_buffer_wrap_metal(device, x, &operands.b.buffer) == MFA_OK, "wrap x");
  expect(mfa_buffer_wrap_metal(device, product, &operands.c.buffer) == MFA_OK, "wrap product");
  expect(mfa_metal_buffer(operands.b.buffer) == x, "the buffer that was wrapped");

  id<MTLCommandBuffer> buffer = [queue commandBuffer];
  id<MTLComputeCommandEncoder> encoder = [buffer computeCommandEncoderWithDispatchType:type];
  twice(encoder, pipeline, x, x2);
  mfa_commands commands = NULL;
  expect(mfa_commands_wrap(device, encoder, &commands) == MFA_OK, "mfa_commands_wrap");
  expect(mfa_metal_encoder(commands) == encoder, "the encoder that was wrapped");
  mfa_gemm_desc desc = MFA_GEMM_DESC_INIT;
  desc.M = desc.N = desc.K = n;
  expect(mfa_commands_set_operation_label(commands, "product") == MFA_OK, "label");
  expect(mfa_sgemm(commands, &desc, &operands) == MFA_OK, "mfa_sgemm");
  mfa_commands_info info = MFA_COMMANDS_INFO_INIT;
  expect(mfa_commands_get_info(commands, &info) == MFA_OK && info.operations == 1, "operations");
  expect(mfa_commands_commit(commands) == MFA_ERROR_WRONG_STATE, "only the owner commits");
  mfa_commands_release(commands);
  [encoder memoryBarrierWithScope:MTLBarrierScopeBuffers];
  twice(encoder, pipeline, product, y);
  [encoder endEncoding];
  [buffer commit];
  [buffer waitUntilCompleted];
  expect([buffer status] == MTLCommandBufferStatusCompleted, name);

  const float* result = [y contents];
  int wrong = 0;
  for (int row = 0; row < n; ++row)
    for (int column = 0; column < n; ++column) {
      float sum = 0;
      for (int k = 0; k < n; ++k) sum += 2 * values[row * n + k] * values[k * n + column];
      wrong += result[row * n + column] != 2 * sum;
    }
  if (wrong) fprintf(stderr, "%s: %d of %d wrong\n", name, wrong, n * n);
  failures += wrong != 0;

  mfa_commands none = NULL;
  expect(mfa_commands_wrap(device, (id)x, &none) == MFA_ERROR_INVALID_ARGUMENT && !none,
         "a buffer is no encoder");
  expect(strstr(mfa_last_error(), "no id<MTLComputeCommandEncoder>") != NULL, "its message");
  mfa_buffer_release(operands.a.buffer);
  mfa_buffer_release(operands.b.buffer);
  mfa_buffer_release(operands.c.buffer);
  for (id object in @[ x, x2, product, y, queue, pipeline, function, library ]) [object release];
}

int main(void) {
  @autoreleasepool {
    size_t count = 0;
    expect(mfa_device_count(&count) == MFA_OK && count > 0, "mfa_device_count");
    for (size_t i = 0; i < count; ++i) {
      mfa_device device = NULL, same = NULL;
      expect(mfa_device_at(i, &device) == MFA_OK, "mfa_device_at");
      mixed(device, MTLDispatchTypeSerial, "serial");
      mixed(device, MTLDispatchTypeConcurrent, "concurrent");
      expect(mfa_device_of_metal(mfa_metal_device(device), &same) == MFA_OK, "mfa_device_of_metal");
      expect(mfa_metal_device(same) == mfa_metal_device(device), "the same device");
      mfa_buffer buffer = NULL;
      expect(mfa_buffer_wrap_metal(device, (id)mfa_metal_device(device), &buffer) ==
                 MFA_ERROR_INVALID_ARGUMENT,
             "a device is no buffer");
      mfa_device_release(same);
      mfa_device_release(device);
    }
    expect(mfa_metal_device(NULL) == nil, "no device");
  }
  return failures != 0;
}
