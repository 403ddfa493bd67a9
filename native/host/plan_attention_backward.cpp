// SPDX-License-Identifier: MIT
// Attention's gradients -> block summaries, D = rowsum(dO * O), then a pass over rows for dQ and
// one over columns for dK and dV, or one pass for all.
#include <algorithm>
#include <cinttypes>

#include "host/plan_attention.h"

namespace mfa::host {

namespace {

uint64_t padded_rows(const Attention& forward, const AttentionTile& tile) {
  return round_up(forward.R, uint64_t(tile.R_simd) * tile.R_splits);
}

KernelDescriptor kernel_of(const AttentionBackward& problem, const AttentionTile& tile, bool sparse,
                           uint32_t form) {
  KernelDescriptor kernel = attention_kernel(problem.forward, tile, sparse, false);
  kernel.set("forward", MFA_CONSTANT_FORWARD, false);
  kernel.set("backward", MFA_CONSTANT_BACKWARD, true);
  kernel.set("backward_form", MFA_CONSTANT_BACKWARD_FORM, form);
  kernel.set("dO_trans", MFA_CONSTANT_DO_TRANS, sequence_contiguous(problem.d_o));
  if (problem.has_dq)
    kernel.set("dQ_trans", MFA_CONSTANT_DQ_TRANS, sequence_contiguous(problem.dq));
  if (problem.has_dk)
    kernel.set("dK_trans", MFA_CONSTANT_DK_TRANS, sequence_contiguous(problem.dk));
  if (problem.has_dv)
    kernel.set("dV_trans", MFA_CONSTANT_DV_TRANS, sequence_contiguous(problem.dv));
  if (form == MFA_BACKWARD_BIAS) kernel.set("dB_type", MFA_CONSTANT_DB_TYPE, problem.dbias_type);
  return kernel;
}

mfa_attention_backward_parameters parameters_of(const AttentionBackward& problem,
                                                const AttentionTile& tile) {
  const Attention& forward = problem.forward;
  mfa_attention_backward_parameters parameters = {};
  parameters.dO = kernel_strides(problem.d_o);
  parameters.dQ = kernel_strides(problem.dq);
  parameters.dK = kernel_strides(problem.dk);
  parameters.dV = kernel_strides(problem.dv);
  parameters.sums_batch = forward.packed ? 0 : forward.H * forward.R;
  parameters.sums_head = forward.total_R;
  parameters.dQ_sums_head = padded_rows(forward, tile) * round_up(forward.D, 8);
  parameters.dQ_sums_batch = parameters.dQ_sums_head * forward.H;
  parameters.dB = {problem.dbias.batch, problem.dbias.head, problem.dbias.row};
  parameters.batches = (uint32_t)forward.B;
  parameters.heads = (uint32_t)forward.H;
  parameters.dB_batches = problem.dbias.batch ? parameters.batches : 1;
  parameters.dB_heads = problem.dbias.head ? parameters.heads : 1;
  return parameters;
}

template <class Parameters>
std::string bytes_of(const Parameters& parameters) {
  return {reinterpret_cast<const char*>(&parameters), sizeof parameters};
}

BackwardWorkspace workspace_of(const AttentionBackward& problem, const AttentionTile& tile,
                               bool sparse, bool joint) {
  const Attention& forward = problem.forward;
  uint64_t rows = forward.packed ? forward.total_R : forward.B * forward.R;
  BackwardWorkspace space = {};
  space.sums = sparse ? round_up(summaries(forward, tile).bytes(), 64) : 0;
  space.dq_sums = space.sums + round_up(forward.H * rows * sizeof(float), 64);
  space.bytes = space.dq_sums;
  if (joint)
    space.bytes +=
        forward.B * forward.H * padded_rows(forward, tile) * round_up(forward.D, 8) * sizeof(float);
  return space;
}

}  // namespace

Outcome<Plan> plan(const Device& device, const AttentionBackward& problem) {
  const Attention& forward = problem.forward;
  MFA_TRY(check_attention_sizes(forward));
  Plan plan;
  bool rows = problem.has_dq && forward.R != 0;
  bool columns = (problem.has_dk || problem.has_dv) && forward.C != 0;
  bool bias = problem.has_dbias && forward.R != 0 && forward.C != 0;
  if (!rows && !columns && !bias) return plan;

  BackwardTile chosen = backward_tile(device, problem);
  const AttentionTile* tile = chosen.tile;
  if (!tile)
    return failure(Code::unsupported,
                   "gradients of heads of D = %" PRIu64 " and Dv = %" PRIu64
                   " need more threadgroup memory than the %" PRIu64 " bytes of device \"%s\"",
                   forward.D, forward.Dv, device.max_threadgroup_memory, device.name.c_str());
  bool joint = chosen.joint && rows && columns;

  Summaries blocks = summaries(forward, *tile);
  bool sparse = forward.R != 0 && summarizes(forward, blocks);
  plan.backward = workspace_of(problem, *tile, sparse, joint);
  plan.workspace = plan.backward.bytes;
  plan.reason = joint ? "a head per worker: one pass for all gradients" : tile->reason;
  plan.tile[0] = uint32_t(tile->R_simd) * tile->R_splits;
  plan.tile[1] = tile->C_simd;
  plan.tile[2] = (uint32_t)round_up(std::max(forward.D, forward.Dv), 8);

  std::string parameters = bytes_of(attention_parameters(forward, blocks));
  std::string backward = bytes_of(parameters_of(problem, *tile));
  auto add = [&](KernelDescriptor kernel, uint64_t x, uint64_t y, uint64_t z, uint64_t memory) {
    Step step = {
        kernel, parameters, {x, y, z}, uint32_t(MFA_SIMDGROUP_SIZE) * tile->R_splits, memory};
    step.backward = backward;
    plan.steps.push_back(step);
  };
  if (sparse) plan.steps.push_back(summary_step(forward, *tile, blocks));
  if (forward.R != 0) {
    uint64_t groups = round_up(forward.R, MFA_BACKWARD_SUMS_ROWS) / MFA_BACKWARD_SUMS_ROWS;
    AttentionBackward unmasked = problem;
    unmasked.forward.mask_kind = MFA_MASK_NONE;
    unmasked.forward.has_bias = unmasked.forward.slopes = false;
    add(kernel_of(unmasked, *tile, false, MFA_BACKWARD_SUMS), groups, forward.H, forward.B, 0);
  }
  if (rows && !joint)
    add(kernel_of(problem, *tile, sparse, MFA_BACKWARD_ROWS), blocks.rows, forward.H, forward.B,
        backward_rows_memory(*tile, problem));
  if (columns) {
    KernelDescriptor kernel = kernel_of(problem, *tile, sparse, MFA_BACKWARD_COLUMNS);
    kernel.set("write_dQ", MFA_CONSTANT_WRITE_DQ, joint);
    kernel.set("write_dK", MFA_CONSTANT_WRITE_DK, problem.has_dk);
    kernel.set("write_dV", MFA_CONSTANT_WRITE_DV, problem.has_dv);
    add(kernel, joint ? 1 : blocks.columns, forward.Hkv, forward.B,
        backward_columns_memory(*tile, problem, joint));
  }
  if (bias)
    add(kernel_of(problem, *tile, sparse, MFA_BACKWARD_BIAS), blocks.columns,
        problem.dbias.row ? blocks.rows : 1,
        (problem.dbias.batch ? forward.B : 1) * (problem.dbias.head ? forward.H : 1),
        backward_bias_memory(*tile, problem));
  return plan;
}

}  // namespace mfa::host
