// SPDX-License-Identifier: MIT
// Planned problems with their operands -> dispatches in a Commands.
#pragma once

#include "host/commands.h"
#include "host/problem.h"

namespace mfa::host {

Status encode(Commands& commands, const Gemm& problem, const GemmOperands& operands);
Status encode(Commands& commands, const Qgemm& problem, const QgemmOperands& operands);
Status encode(Commands& commands, const Attention& problem, const AttentionOperands& operands);
Status encode(Commands& commands, const AttentionBackward& problem,
              const AttentionBackwardOperands& operands);
Status encode(Commands& commands, const Decode& problem, const DecodeOperands& operands);
Status encode(Commands& commands, const Merge& problem, const MergeOperands& operands);
Status encode(Commands& commands, const Cast& problem, const CastOperands& operands);
Status encode(Commands& commands, const Convolution& problem, const ConvolutionOperands& operands);
/// Only the weights, transformed for Winograd, into `result`.
Status encode_weights(Commands& commands, const Convolution& problem,
                      const ConvolutionOperands& operands);

}  // namespace mfa::host
