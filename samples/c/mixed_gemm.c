/* SPDX-License-Identifier: MIT */
/* FP32 rows -> a perceptron of three layers that multiplies in FP16 -> FP32 rows, in one command
 * buffer: casts, matrix products with activations, a cast.
 *
 *   cc mixed_gemm.c $(pkg-config --cflags --libs libmfa) -o mixed_gemm
 */
#include "sample.h"

enum { ROWS = 32, WIDTH = 128, LAYERS = 3 };

static mfa_operand x, w[LAYERS], y;                 /* FP32 */
static mfa_operand x_half, w_half[LAYERS], a, b, c; /* FP16 */

/* to = activation(from * weights^T) */
static void layer(mfa_commands commands, mfa_operand from, mfa_operand weights, mfa_operand to,
                  mfa_activation activation) {
  mfa_gemm_desc desc = MFA_GEMM_DESC_INIT;
  desc.M = ROWS;
  desc.N = desc.K = WIDTH;
  desc.trans_b = true;
  desc.activation = activation;
  mfa_gemm_operands operands = MFA_GEMM_OPERANDS_INIT;
  operands.a = from;
  operands.b = weights;
  operands.c = to;
  check(mfa_hgemm(commands, &desc, &operands));
}

static void mixed_gemm(mfa_commands commands) {
  cast(commands, x, MFA_TYPE_FLOAT, x_half, MFA_TYPE_HALF, ROWS * WIDTH);
  for (int i = 0; i < LAYERS; ++i)
    cast(commands, w[i], MFA_TYPE_FLOAT, w_half[i], MFA_TYPE_HALF, WIDTH * WIDTH);
  layer(commands, x_half, w_half[0], a, MFA_ACTIVATION_GELU);
  layer(commands, a, w_half[1], b, MFA_ACTIVATION_GELU);
  layer(commands, b, w_half[2], c, MFA_ACTIVATION_NONE);
  cast(commands, c, MFA_TYPE_HALF, y, MFA_TYPE_FLOAT, ROWS * WIDTH);
}

int main(void) {
  mfa_device device;
  check(mfa_device_open("default", &device));
  mfa_operand* rows_half[] = {&x_half, &a, &b, &c};
  for (int i = 0; i < 4; ++i) *rows_half[i] = tensor(device, ROWS * WIDTH * 2);
  x = tensor(device, ROWS * WIDTH * 4);
  y = tensor(device, ROWS * WIDTH * 4);
  fill(x, ROWS * WIDTH, 1, 1);
  for (int i = 0; i < LAYERS; ++i) {
    w[i] = tensor(device, WIDTH * WIDTH * 4);
    w_half[i] = tensor(device, WIDTH * WIDTH * 2);
    fill(w[i], WIDTH * WIDTH, 2 + (unsigned)i, 0.25f);
  }

  int failed = compare(device, mixed_gemm, y, ROWS * WIDTH);

  for (int i = 0; i < LAYERS; ++i) {
    check(mfa_buffer_release(w[i].buffer));
    check(mfa_buffer_release(w_half[i].buffer));
  }
  for (int i = 0; i < 4; ++i) check(mfa_buffer_release(rows_half[i]->buffer));
  check(mfa_buffer_release(x.buffer));
  check(mfa_buffer_release(y.buffer));
  check(mfa_device_release(device));
  return failed;
}
