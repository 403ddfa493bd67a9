/* SPDX-License-Identifier: MIT */
/* What the C programs of this folder share: a kernel, and calls that end the program on an error.
 */
#ifndef MFA_TESTS_SESSION_H
#define MFA_TESTS_SESSION_H

#include <mfa.h>
#include <stdio.h>
#include <stdlib.h>

/* x[i] = factor * x[i] + add. `factor` is function constant 0. */
static const char scale_source[] =
    "#include <metal_stdlib>\n"
    "using namespace metal;\n"
    "constant int factor [[function_constant(0)]];\n"
    "kernel void scale(device int *x [[buffer(0)]], constant int &add [[buffer(1)]],\n"
    "                  threadgroup int *seen [[threadgroup(0)]],\n"
    "                  uint t [[thread_position_in_threadgroup]],\n"
    "                  uint i [[thread_position_in_grid]]) {\n"
    "  seen[t] = x[i];\n"
    "  threadgroup_barrier(mem_flags::mem_threadgroup);\n"
    "  x[i] = factor * seen[t] + add;\n"
    "}\n";

static inline void check_at(mfa_status status, const char* file, int line) {
  if (status == MFA_OK) return;
  fprintf(stderr, "%s:%d: %s: %s\n", file, line, mfa_status_name(status), mfa_last_error());
  exit(1);
}

#define CHECK(call) check_at(call, __FILE__, __LINE__)
#define REQUIRE(condition)                                                      \
  do {                                                                          \
    if (!(condition)) {                                                         \
      fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
      exit(1);                                                                  \
    }                                                                           \
  } while (0)

static inline mfa_pipeline scale_by(mfa_library library, int factor) {
  mfa_constant_value value = {.index = 0, .type = MFA_TYPE_INT, .value = &factor};
  mfa_pipeline pipeline;
  CHECK(mfa_pipeline_new(library, "scale", &value, 1, &pipeline));
  return pipeline;
}

/* Encodes the kernel over `count` elements, 64 to a threadgroup. NULL commands: runs it. */
static inline void scale(mfa_commands commands, mfa_pipeline pipeline, mfa_buffer x,
                         uint64_t offset, int add, uint64_t count) {
  mfa_binding bindings[] = {
      {.kind = MFA_BINDING_BUFFER, .slot = 0, .buffer = x, .offset = offset},
      {.kind = MFA_BINDING_BYTES, .slot = 1, .bytes = &add, .length = sizeof add},
      {.kind = MFA_BINDING_THREADGROUP, .slot = 0, .length = 64 * sizeof(int)},
  };
  mfa_dispatch_desc dispatch = MFA_DISPATCH_DESC_INIT;
  dispatch.pipeline = pipeline;
  dispatch.bindings = bindings;
  dispatch.binding_count = 3;
  dispatch.grid[0] = count;
  dispatch.threads_per_threadgroup[0] = 64;
  dispatch.grid_in_threads = true;
  CHECK(mfa_dispatch(commands, &dispatch));
}

#endif
