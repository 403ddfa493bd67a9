// SPDX-License-Identifier: MIT
// What turns products into logits (metal/attention_score.h) -> function constants and parameters.
#include "host/scores.h"

#include <cmath>

#include "host/philox.h"

namespace mfa::host {

bool sequence_contiguous(const Strides& strides) { return strides.column != 1; }

mfa_strides kernel_strides(const Strides& strides) {
  return {strides.batch, strides.head, sequence_contiguous(strides) ? strides.column : strides.row};
}

void set_score_constants(KernelDescriptor& kernel, const Attention& problem) {
  kernel.set("causal", MFA_CONSTANT_CAUSAL, problem.causal);
  kernel.set("mask_kind", MFA_CONSTANT_MASK_KIND, problem.mask_kind);
  if (problem.mask_kind == MFA_MASK_ADDITIVE)
    kernel.set("mask_type", MFA_CONSTANT_MASK_TYPE, problem.mask_type);
  kernel.set("bias", MFA_CONSTANT_BIAS, problem.has_bias);
  if (problem.has_bias) kernel.set("bias_type", MFA_CONSTANT_BIAS_TYPE, problem.bias_type);
  kernel.set("window", MFA_CONSTANT_WINDOW, problem.window());
  kernel.set("soft_cap", MFA_CONSTANT_SOFT_CAP, problem.soft_cap != 0);
  kernel.set("alibi", MFA_CONSTANT_ALIBI, problem.slopes);
  kernel.set("dropout", MFA_CONSTANT_DROPOUT, problem.dropout != 0);
}

mfa_score_parameters score_parameters(const Attention& problem) {
  mfa_score_parameters parameters = {};
  parameters.scale = problem.scale;
  parameters.soft_cap = problem.soft_cap;
  parameters.window_left = problem.window_left;
  parameters.window_right = problem.window_right;
  if (problem.dropout != 0) {
    auto key = philox({uint32_t(problem.offset), uint32_t(problem.offset >> 32), 0, 0},
                      {uint32_t(problem.seed), uint32_t(problem.seed >> 32)});
    parameters.dropout_key[0] = key[0];
    parameters.dropout_key[1] = key[1];
    // dropout is less than 1 by at least 2^-24, so this fits.
    parameters.dropout_threshold = (uint32_t)std::llround(std::ldexp((double)problem.dropout, 32));
    parameters.dropout_scale = float(1 / (1 - (double)problem.dropout));
  }
  parameters.mask = {problem.mask.batch, problem.mask.head, problem.mask.row};
  parameters.bias = {problem.bias.batch, problem.bias.head, problem.bias.row};
  parameters.slopes_batch = problem.slopes_batch;
  return parameters;
}

}  // namespace mfa::host
