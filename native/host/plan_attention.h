// SPDX-License-Identifier: MIT
// What the forward and the backward pass of attention plan alike.
#pragma once

#include "host/plan.h"
#include "host/scores.h"
#include "host/tuning.h"
#include "shared.h"

namespace mfa::host {

/// How the mask is shared decides how many summaries there are.
struct Summaries {
  uint64_t batches, heads, rows, columns;
  uint64_t bytes() const { return batches * heads * rows * columns; }
};

Summaries summaries(const Attention& problem, const AttentionTile& tile);

/// Are blocks of the mask summarised first?
bool summarizes(const Attention& problem, const Summaries& blocks);

/// The forward pass, or with `generate` the summaries.
KernelDescriptor attention_kernel(const Attention& problem, const AttentionTile& tile, bool sparse,
                                  bool generate);

mfa_attention_parameters attention_parameters(const Attention& problem, const Summaries& blocks);

/// The step that makes the summaries.
Step summary_step(const Attention& problem, const AttentionTile& tile, const Summaries& blocks);

/// Refuses sizes that the kernels do not count.
Status check_attention_sizes(const Attention& problem);

}  // namespace mfa::host
