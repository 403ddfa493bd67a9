/* SPDX-License-Identifier: MIT */
/* An FP32 image -> four 3x3 convolutions by Winograd with weights of 6 bits -> FP32 features, in
 * one command buffer. Weights are decoded where they are transformed and results written to their
 * place: neither dense weights nor a transformed image ever exist.
 *
 *   cc winograd.c $(pkg-config --cflags --libs libmfa) -o winograd
 */
#include "sample.h"

enum { SIDE = 12, CHANNELS = 32, LAYERS = 4, BITS = 6, ENTRIES = 1 << BITS };
enum { PIXELS = SIDE * SIDE, WEIGHTS = CHANNELS * 9 * CHANNELS };

static mfa_operand x, y;                                           /* FP32 */
static mfa_operand x_half, features[2];                            /* FP16 */
static mfa_operand numbers[LAYERS], palette[LAYERS], bias[LAYERS]; /* 6 bits, FP16, FP16 */

/* Number i is BITS bits long and begins with bit i * BITS, the lowest bits of a byte first. */
static mfa_operand pack(mfa_device device, unsigned seed) {
  mfa_operand packed = tensor(device, (WEIGHTS * BITS + 7) / 8);
  uint8_t* bytes = memory(packed);
  for (size_t i = 0; i < WEIGHTS; ++i) {
    unsigned number = (unsigned)(i * 7919 + seed * 104729u) % 1009 % ENTRIES;
    size_t bit = i * BITS;
    unsigned shifted = number << bit % 8;
    bytes[bit / 8] |= (uint8_t)shifted;
    if (shifted > 255) bytes[bit / 8 + 1] |= (uint8_t)(shifted >> 8);
  }
  return packed;
}

/* to = relu(convolution(from) + bias), as large as `from` */
static void layer(mfa_commands commands, int i, mfa_operand from, mfa_operand to) {
  mfa_convolution_desc desc = MFA_CONVOLUTION_DESC_INIT;
  desc.N = 1;
  desc.C = desc.K = CHANNELS;
  desc.dimensions = 2;
  for (int d = 0; d < 2; ++d) {
    desc.input[d] = SIDE;
    desc.window[d] = 3;
  }
  desc.padding_mode = MFA_PADDING_SAME;
  desc.algorithm = MFA_ALGORITHM_WINOGRAD;
  desc.activation = MFA_ACTIVATION_RELU;
  desc.weights = MFA_WEIGHTS_PALETTIZED;
  desc.palette_bits = BITS;
  mfa_convolution_operands operands = MFA_CONVOLUTION_OPERANDS_INIT;
  operands.data = from;
  operands.weights = numbers[i];
  operands.palette = palette[i];
  operands.bias = bias[i];
  operands.result = to;
  check(mfa_convolution(commands, &desc, &operands));
}

static void winograd(mfa_commands commands) {
  cast(commands, x, MFA_TYPE_FLOAT, x_half, MFA_TYPE_HALF, PIXELS * CHANNELS);
  layer(commands, 0, x_half, features[0]);
  layer(commands, 1, features[0], features[1]);
  layer(commands, 2, features[1], features[0]);
  layer(commands, 3, features[0], features[1]);
  cast(commands, features[1], MFA_TYPE_HALF, y, MFA_TYPE_FLOAT, PIXELS * CHANNELS);
}

int main(void) {
  mfa_device device;
  check(mfa_device_open("default", &device));
  x = tensor(device, PIXELS * CHANNELS * 4);
  y = tensor(device, PIXELS * CHANNELS * 4);
  fill(x, PIXELS * CHANNELS, 1, 1);
  x_half = tensor(device, PIXELS * CHANNELS * 2);
  for (int i = 0; i < 2; ++i) features[i] = tensor(device, PIXELS * CHANNELS * 2);
  for (unsigned i = 0; i < LAYERS; ++i) {
    numbers[i] = pack(device, 2 + i);
    palette[i] = half_tensor(device, ENTRIES, 6 + i, 0.125f);
    bias[i] = half_tensor(device, CHANNELS, 10 + i, 0.1f);
  }

  int failed = compare(device, winograd, y, PIXELS * CHANNELS);

  mfa_operand images[] = {x, y, x_half, features[0], features[1]};
  for (int i = 0; i < 5; ++i) check(mfa_buffer_release(images[i].buffer));
  for (int i = 0; i < LAYERS; ++i) {
    check(mfa_buffer_release(numbers[i].buffer));
    check(mfa_buffer_release(palette[i].buffer));
    check(mfa_buffer_release(bias[i].buffer));
  }
  check(mfa_device_release(device));
  return failed;
}
