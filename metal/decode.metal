// SPDX-License-Identifier: MIT
// The decode kernel: a few queries and a long cache. Types, widths and forms are constants.
#include "decode.h"

kernel void decode(
    const device uchar* Q [[buffer(MFA_SLOT_Q)]], const device uchar* K [[buffer(MFA_SLOT_K)]],
    const device uchar* V [[buffer(MFA_SLOT_V)]],
    device uchar* O [[buffer(MFA_SLOT_O), function_constant(decode_whole)]],
    device float* lse [[buffer(MFA_SLOT_LSE), function_constant(decode_lse)]],
    const device uchar* mask [[buffer(MFA_SLOT_MASK), function_constant(has_mask)]],
    const device float* slopes [[buffer(MFA_SLOT_SLOPES), function_constant(alibi)]],
    const device float* sinks [[buffer(MFA_SLOT_SINKS), function_constant(sinks_used)]],
    const device uchar* bias [[buffer(MFA_SLOT_SCORE_BIAS), function_constant(has_bias)]],
    const device uint* lengths [[buffer(MFA_SLOT_LENGTHS), function_constant(has_lengths)]],
    const device uint* table [[buffer(MFA_SLOT_TABLE), function_constant(paged)]],
    const device uchar* K_scales [[buffer(MFA_SLOT_K_SCALES), function_constant(quantized)]],
    const device uchar* K_biases [[buffer(MFA_SLOT_K_BIASES), function_constant(quantized)]],
    const device uchar* V_scales [[buffer(MFA_SLOT_V_SCALES), function_constant(quantized)]],
    const device uchar* V_biases [[buffer(MFA_SLOT_V_BIASES), function_constant(quantized)]],
    device float* partials [[buffer(MFA_SLOT_PARTIALS), function_constant(split)]],
    constant mfa_decode_parameters& parameters [[buffer(MFA_SLOT_PARAMETERS)]],
    threadgroup float* weights [[threadgroup(MFA_SLOT_TILES)]],
    uint3 group [[threadgroup_position_in_grid]], ushort lane [[thread_index_in_simdgroup]]) {
  if (!decode_supported) return;
  decode_buffers buffers = {};
  score_buffers masks = {};
  buffers.Q = Q;
  buffers.K = K;
  buffers.V = V;
  if (decode_whole) buffers.O = O;
  if (decode_lse) buffers.lse = lse;
  if (sinks_used) buffers.sinks = sinks;
  if (has_lengths) buffers.lengths = lengths;
  if (paged) buffers.table = table;
  if (quantized) {
    buffers.K_scales = K_scales;
    buffers.K_biases = K_biases;
    buffers.V_scales = V_scales;
    buffers.V_biases = V_biases;
  }
  if (split) buffers.partials = partials;
  buffers.parameters = &parameters;
  if (has_mask) masks.mask = mask;
  if (has_bias) masks.bias = bias;
  if (alibi) masks.slopes = slopes;
  masks.parameters = &parameters.scores;
  decode_block(buffers, masks, weights, group, ulong(lane));
}
