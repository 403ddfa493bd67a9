/* SPDX-License-Identifier: MIT */
/* Tokens -> a whole attention layer -> tokens, in one encoder: projections with biases, causal
 * attention with two heads to each head of keys, the output projection.
 *
 *   cc attention_layer.c $(pkg-config --cflags --libs libmfa) -o attention_layer
 */
#include "sample.h"

enum { BATCH = 2, TOKENS = 48, HEADS = 4, KV_HEADS = 2, D = 32 };
enum { ROWS = BATCH * TOKENS, WIDTH = HEADS * D, KV_WIDTH = KV_HEADS * D };

/* FP32: tokens and result. FP16: everything between. Weights are stored N x K. */
static mfa_operand x, y;
static mfa_operand x_half, q, k, v, o, y_half;
static mfa_operand w_q, w_k, w_v, w_o, b_q, b_k, b_v, b_o;

/* to = from * weights^T + bias */
static void project(mfa_commands commands, mfa_operand from, mfa_operand weights, mfa_operand bias,
                    size_t width, mfa_operand to) {
  mfa_gemm_desc desc = MFA_GEMM_DESC_INIT;
  desc.M = ROWS;
  desc.N = width;
  desc.K = WIDTH;
  desc.trans_b = true;
  mfa_gemm_operands operands = MFA_GEMM_OPERANDS_INIT;
  operands.a = from;
  operands.b = weights;
  operands.bias = bias;
  operands.c = to;
  check(mfa_hgemm(commands, &desc, &operands));
}

static void attend(mfa_commands commands) {
  mfa_attention_desc desc = MFA_ATTENTION_DESC_INIT;
  desc.B = BATCH;
  desc.H = HEADS;
  desc.Hkv = KV_HEADS;
  desc.R = desc.C = TOKENS;
  desc.D = D;
  desc.layout = MFA_LAYOUT_BNHD; /* as the projections leave them: nothing is moved */
  desc.causal = MFA_CAUSAL_LOWER_RIGHT;
  mfa_attention_operands operands = MFA_ATTENTION_OPERANDS_INIT;
  operands.q = q;
  operands.k = k;
  operands.v = v;
  operands.o = o;
  check(mfa_attention(commands, &desc, &operands));
}

static void attention_layer(mfa_commands commands) {
  cast(commands, x, MFA_TYPE_FLOAT, x_half, MFA_TYPE_HALF, ROWS * WIDTH);
  project(commands, x_half, w_q, b_q, WIDTH, q);
  project(commands, x_half, w_k, b_k, KV_WIDTH, k);
  project(commands, x_half, w_v, b_v, KV_WIDTH, v);
  attend(commands);
  project(commands, o, w_o, b_o, WIDTH, y_half);
  cast(commands, y_half, MFA_TYPE_HALF, y, MFA_TYPE_FLOAT, ROWS * WIDTH);
}

int main(void) {
  mfa_device device;
  check(mfa_device_open("default", &device));
  x = tensor(device, ROWS * WIDTH * 4);
  y = tensor(device, ROWS * WIDTH * 4);
  fill(x, ROWS * WIDTH, 1, 1);
  w_q = half_tensor(device, WIDTH * WIDTH, 2, 0.25f);
  w_k = half_tensor(device, KV_WIDTH * WIDTH, 3, 0.25f);
  w_v = half_tensor(device, KV_WIDTH * WIDTH, 4, 0.25f);
  w_o = half_tensor(device, WIDTH * WIDTH, 5, 0.25f);
  b_q = half_tensor(device, WIDTH, 6, 0.1f);
  b_k = half_tensor(device, KV_WIDTH, 7, 0.1f);
  b_v = half_tensor(device, KV_WIDTH, 8, 0.1f);
  b_o = half_tensor(device, WIDTH, 9, 0.1f);
  x_half = tensor(device, ROWS * WIDTH * 2);
  q = tensor(device, ROWS * WIDTH * 2);
  k = tensor(device, ROWS * KV_WIDTH * 2);
  v = tensor(device, ROWS * KV_WIDTH * 2);
  o = tensor(device, ROWS * WIDTH * 2);
  y_half = tensor(device, ROWS * WIDTH * 2);

  int failed = compare(device, attention_layer, y, ROWS * WIDTH);

  mfa_operand all[] = {x, y, x_half, q, k, v, o, y_half, w_q, w_k, w_v, w_o, b_q, b_k, b_v, b_o};
  for (size_t i = 0; i < sizeof all / sizeof *all; ++i) check(mfa_buffer_release(all[i].buffer));
  check(mfa_device_release(device));
  return failed;
}
