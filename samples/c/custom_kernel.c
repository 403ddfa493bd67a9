/* SPDX-License-Identifier: MIT */
/* Rows -> a matrix product, a kernel of one's own, a matrix product: in one command buffer.
 *
 *   cc custom_kernel.c $(pkg-config --cflags --libs libmfa) -o custom_kernel
 *   ./custom_kernel ../metal/rms_norm.metal
 */
#include "sample.h"

enum { ROWS = 32, WIDTH = 128 };

/* Metal Shading Language -> the pipeline of its kernel, with the function constant set. */
static mfa_pipeline compile(mfa_device device, const char* path) {
  static char source[1 << 16];
  FILE* file = fopen(path, "rb");
  if (file == NULL || fread(source, 1, sizeof source - 1, file) == 0) {
    fprintf(stderr, "cannot read %s\n", path);
    exit(1);
  }
  fclose(file);
  float epsilon = 1e-6f;
  mfa_constant_value constant = {
      .name = "given_epsilon", .type = MFA_TYPE_FLOAT, .value = &epsilon};
  mfa_library library;
  mfa_pipeline pipeline;
  check(mfa_library_from_source(device, source, NULL, &library));
  check(mfa_pipeline_new(library, "rms_norm", &constant, 1, &pipeline));
  check(mfa_library_release(library)); /* the pipeline keeps what it needs */
  return pipeline;
}

static void multiply(mfa_commands commands, mfa_operand a, mfa_operand b, mfa_operand c) {
  mfa_gemm_desc desc = MFA_GEMM_DESC_INIT;
  desc.M = ROWS;
  desc.N = desc.K = WIDTH;
  desc.trans_b = true;
  mfa_gemm_operands operands = MFA_GEMM_OPERANDS_INIT;
  operands.a = a;
  operands.b = b;
  operands.c = c;
  check(mfa_hgemm(commands, &desc, &operands));
}

static void normalise(mfa_commands commands, mfa_pipeline pipeline, mfa_operand x, mfa_operand y) {
  uint32_t width = WIDTH;
  mfa_binding bindings[] = {
      {.kind = MFA_BINDING_BUFFER, .slot = 0, .buffer = x.buffer},
      {.kind = MFA_BINDING_BUFFER, .slot = 1, .buffer = y.buffer},
      {.kind = MFA_BINDING_BYTES, .slot = 2, .bytes = &width, .length = sizeof width},
  };
  mfa_dispatch_desc desc = MFA_DISPATCH_DESC_INIT;
  desc.pipeline = pipeline;
  desc.bindings = bindings;
  desc.binding_count = 3;
  desc.grid[0] = ROWS; /* threadgroups */
  desc.threads_per_threadgroup[0] = 32;
  check(mfa_dispatch(commands, &desc));
}

int main(int count, char** arguments) {
  if (count != 2) {
    fprintf(stderr, "usage: custom_kernel rms_norm.metal\n");
    return 2;
  }
  mfa_device device;
  check(mfa_device_open("default", &device));
  mfa_pipeline rms_norm = compile(device, arguments[1]);
  mfa_operand x = half_tensor(device, ROWS * WIDTH, 1, 1);
  mfa_operand w[] = {half_tensor(device, WIDTH * WIDTH, 2, 0.25f),
                     half_tensor(device, WIDTH * WIDTH, 3, 0.25f)};
  mfa_operand a = tensor(device, ROWS * WIDTH * 2), b = tensor(device, ROWS * WIDTH * 2);
  mfa_operand c = tensor(device, ROWS * WIDTH * 2), y = tensor(device, ROWS * WIDTH * 4);

  mfa_commands commands;
  check(mfa_commands_begin(device, &commands));
  multiply(commands, x, w[0], a);
  normalise(commands, rms_norm, a, b);
  multiply(commands, b, w[1], c);
  cast(commands, c, MFA_TYPE_HALF, y, MFA_TYPE_FLOAT, ROWS * WIDTH);
  check(mfa_commands_run(commands));

  uint32_t sum = 0;
  for (int i = 0; i < ROWS * WIDTH; ++i) sum += ((uint32_t*)memory(y))[i];
  printf("result %08x\n", sum);

  check(mfa_commands_release(commands));
  check(mfa_pipeline_release(rms_norm));
  mfa_operand all[] = {x, w[0], w[1], a, b, c, y};
  for (size_t i = 0; i < sizeof all / sizeof *all; ++i) check(mfa_buffer_release(all[i].buffer));
  check(mfa_device_release(device));
  return 0;
}
