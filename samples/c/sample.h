/* SPDX-License-Identifier: MIT */
/* A pipeline of operations -> run as one command buffer and as one for each operation: results
 * compared bit for bit, both timed. What the pipelines of this folder share. */
#ifndef SAMPLE_H
#define SAMPLE_H

#include <mfa.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Every call of libmfa says whether it worked; the thread's last error says what was wrong. */
static inline void check(mfa_status status) {
  if (status == MFA_OK) return;
  fprintf(stderr, "%s: %s\n", mfa_status_name(status), mfa_last_error());
  exit(1);
}

/* A new buffer as an operand that begins where the buffer does. */
static inline mfa_operand tensor(mfa_device device, size_t bytes) {
  mfa_operand operand = {NULL, 0};
  check(mfa_buffer_new(device, bytes, MFA_STORAGE_SHARED, &operand.buffer));
  return operand;
}

static inline void* memory(mfa_operand operand) {
  void* contents;
  check(mfa_buffer_contents(operand.buffer, &contents));
  return contents;
}

/* Numbers between -scale and scale, the same in every language. */
static inline void fill(mfa_operand operand, size_t count, unsigned seed, float scale) {
  float* values = memory(operand);
  for (size_t i = 0; i < count; ++i)
    values[i] = ((float)((i * 7919 + seed * 104729u) % 1009) / 504 - 1) * scale;
}

/* Elements of one type as those of another. */
static inline void cast(mfa_commands commands, mfa_operand from, mfa_type from_type, mfa_operand to,
                        mfa_type to_type, size_t count) {
  mfa_cast_desc desc = MFA_CAST_DESC_INIT;
  desc.count = count;
  desc.source_type = from_type;
  desc.destination_type = to_type;
  mfa_cast_operands operands = MFA_CAST_OPERANDS_INIT;
  operands.source = from;
  operands.destination = to;
  check(mfa_cast(commands, &desc, &operands));
}

/* The same numbers in FP16. */
static inline mfa_operand half_tensor(mfa_device device, size_t count, unsigned seed, float scale) {
  mfa_operand values = tensor(device, count * sizeof(float)), half = tensor(device, count * 2);
  fill(values, count, seed, scale);
  cast(NULL, values, MFA_TYPE_FLOAT, half, MFA_TYPE_HALF, count);
  check(mfa_buffer_release(values.buffer));
  return half;
}

/* One operation after another. `commands` NULL: each in a command buffer of its own. */
typedef void (*pipeline)(mfa_commands commands);

/* Runs the pipeline in one command buffer. */
static inline mfa_commands_info run_batched(mfa_device device, pipeline encode) {
  mfa_commands commands;
  mfa_commands_info info = MFA_COMMANDS_INFO_INIT;
  check(mfa_commands_begin(device, &commands));
  encode(commands);
  check(mfa_commands_run(commands)); /* commits and waits */
  check(mfa_commands_get_info(commands, &info));
  check(mfa_commands_release(commands));
  return info;
}

static inline double seconds(void) {
  struct timespec now;
  timespec_get(&now, TIME_UTC);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Prints the comparison of `count` floats of the result, and the times. 0 if all is well. */
static inline int compare(mfa_device device, pipeline encode, mfa_operand result, size_t count) {
  enum { ROUNDS = 15, TIMES = 10 };
  uint32_t* bits = memory(result);
  uint32_t* batched = malloc(count * sizeof *batched);
  if (batched == NULL) return 1;
  mfa_commands_info info = run_batched(device, encode);
  memcpy(batched, bits, count * sizeof *bits);
  memset(bits, 0xff, count * sizeof *bits);
  encode(NULL);
  uint32_t sum = 0;
  for (size_t i = 0; i < count; ++i) sum += bits[i];
  int same = memcmp(batched, bits, count * sizeof *bits) == 0;
  free(batched);
  printf("%u operations in %u command buffer\n", info.operations, info.command_buffers);
  printf("result %08x, unbatched %s\n", sum, same ? "the same" : "DIFFERENT");

  double best[2] = {1e9, 1e9}; /* in one command buffer, in several */
  for (int round = 0; round < ROUNDS; ++round)
    for (int unbatched = 0; unbatched < 2; ++unbatched) {
      double start = seconds();
      for (int i = 0; i < TIMES; ++i)
        if (unbatched)
          encode(NULL);
        else
          run_batched(device, encode);
      double taken = (seconds() - start) / TIMES;
      if (taken < best[unbatched]) best[unbatched] = taken;
    }
  printf("batched %.1f us, unbatched %.1f us: %.2f times as fast\n", best[0] * 1e6, best[1] * 1e6,
         best[1] / best[0]);
  return same && info.command_buffers == 1 ? 0 : 1;
}

#endif
