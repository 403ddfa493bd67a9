/* SPDX-License-Identifier: MIT */
/* D = (A * B) * B with two matrix products in one command buffer -> prints what was computed.
 *
 *   cc two_products.c $(pkg-config --cflags --libs libmfa) -o two_products
 */
#include <mfa.h>
#include <stdio.h>
#include <stdlib.h>

enum { N = 64 };

static void check(mfa_status status) {
  if (status == MFA_OK) return;
  fprintf(stderr, "%s: %s\n", mfa_status_name(status), mfa_last_error());
  exit(1);
}

int main(void) {
  mfa_device device;
  check(mfa_device_open("default", &device));
  mfa_device_info info = MFA_DEVICE_INFO_INIT;
  check(mfa_device_get_info(device, &info));
  printf("device %s: %s\n", info.name, info.description);

  mfa_buffer buffers[4];
  float* memory[4];
  for (int i = 0; i < 4; ++i) {
    check(mfa_buffer_new(device, N * N * sizeof(float), MFA_STORAGE_SHARED, &buffers[i]));
    void* contents;
    check(mfa_buffer_contents(buffers[i], &contents));
    memory[i] = contents;
  }
  float *a = memory[0], *b = memory[1], *d = memory[3];
  for (int i = 0; i < N; ++i) {
    for (int j = 0; j < N; ++j) a[i * N + j] = (float)((i + 2 * j) % 7);
    b[i * N + (i + 1) % N] = 2; /* moves every column one to the right and doubles it */
  }

  mfa_gemm_desc product = MFA_GEMM_DESC_INIT;
  product.M = product.N = product.K = N;
  mfa_gemm_operands first = MFA_GEMM_OPERANDS_INIT, second = MFA_GEMM_OPERANDS_INIT;
  first.a.buffer = buffers[0];
  first.b.buffer = second.b.buffer = buffers[1];
  first.c.buffer = second.a.buffer = buffers[2];
  second.c.buffer = buffers[3];

  mfa_commands commands;
  check(mfa_commands_begin(device, &commands));
  check(mfa_sgemm(commands, &product, &first));
  check(mfa_sgemm(commands, &product, &second));
  check(mfa_commands_commit(commands));
  check(mfa_commands_wait(commands, -1));

  int wrong = 0;
  for (int i = 0; i < N; ++i)
    for (int j = 0; j < N; ++j) wrong += d[i * N + (j + 2) % N] != 4 * a[i * N + j];
  printf("%d of %d elements wrong\n", wrong, N * N);

  product.K = 0; /* what an error looks like: C would have to be wider than its rows */
  product.ldc = 1;
  mfa_status refused = mfa_sgemm(NULL, &product, &first);
  printf("refused: %s: %s\n", mfa_status_name(refused), mfa_last_error());

  check(mfa_commands_release(commands));
  for (int i = 0; i < 4; ++i) check(mfa_buffer_release(buffers[i]));
  check(mfa_device_release(device));
  return wrong != 0 || refused == MFA_OK;
}
