// SPDX-License-Identifier: MIT
// What turns products into logits (metal/attention_score.h) -> function constants and parameters,
// for every kernel that computes scores.
#pragma once

#include "host/kernel.h"
#include "host/problem.h"
#include "shared.h"

namespace mfa::host {

/// Everything of attention_score.h but DATA_TYPE and SINKS.
void set_score_constants(KernelDescriptor& kernel, const Attention& problem);
mfa_score_parameters score_parameters(const Attention& problem);

/// MFA 1.0's orientation flags: is the sequence, not the head dimension, contiguous?
bool sequence_contiguous(const Strides& strides);
mfa_strides kernel_strides(const Strides& strides);

}  // namespace mfa::host
