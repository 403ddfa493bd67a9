// SPDX-License-Identifier: MIT
// Attention -> a summary of the mask's blocks where that pays, then the forward pass.
#include <algorithm>
#include <cinttypes>

#include "host/plan_attention.h"

namespace mfa::host {

Summaries summaries(const Attention& problem, const AttentionTile& tile) {
  uint64_t R_group = uint64_t(tile.R_simd) * tile.R_splits;
  bool batches = problem.packed, heads = false;
  if (problem.mask_kind != MFA_MASK_NONE) {
    batches = batches || problem.mask.batch != 0;
    heads = heads || problem.mask.head != 0;
  }
  if (problem.has_bias) {
    batches = batches || problem.bias.batch != 0;
    heads = heads || problem.bias.head != 0;
  }
  return {batches ? problem.B : 1, heads ? problem.H : 1, round_up(problem.R, R_group) / R_group,
          round_up(problem.C, tile.C_simd) / tile.C_simd};
}

KernelDescriptor attention_kernel(const Attention& problem, const AttentionTile& tile, bool sparse,
                                  bool generate) {
  KernelDescriptor kernel("attention");
  kernel.set("parameters", MFA_CONSTANT_PARAMETERS, true);
  kernel.set("generate_block_mask", MFA_CONSTANT_GENERATE_BLOCK_MASK, generate);
  kernel.set("R_simd", MFA_CONSTANT_R_SIMD, tile.R_simd);
  kernel.set("C_simd", MFA_CONSTANT_C_SIMD, tile.C_simd);
  kernel.set("R_splits", MFA_CONSTANT_R_SPLITS, tile.R_splits);
  kernel.set("D", MFA_CONSTANT_D, (uint32_t)problem.D);
  kernel.set("D_V", MFA_CONSTANT_D_V, (uint32_t)problem.Dv);
  kernel.set("packed", MFA_CONSTANT_PACKED, problem.packed);
  set_score_constants(kernel, problem);
  if (generate) return kernel;
  kernel.set("data_type", MFA_CONSTANT_DATA_TYPE, problem.type);
  kernel.set("O_type", MFA_CONSTANT_O_TYPE, problem.o_type);
  kernel.set("sinks", MFA_CONSTANT_SINKS, problem.sinks);
  kernel.set("Q_trans", MFA_CONSTANT_Q_TRANS, sequence_contiguous(problem.q));
  // As in MFA 1.0, K_trans names the usual layout, whose rows are contiguous.
  kernel.set("K_trans", MFA_CONSTANT_K_TRANS, !sequence_contiguous(problem.k));
  kernel.set("V_trans", MFA_CONSTANT_V_TRANS, sequence_contiguous(problem.v));
  kernel.set("O_trans", MFA_CONSTANT_O_TRANS, sequence_contiguous(problem.o));
  kernel.set("block_sparse", MFA_CONSTANT_BLOCK_SPARSE, sparse);
  kernel.set("write_lse", MFA_CONSTANT_WRITE_LSE, problem.lse);
  kernel.set("staged", MFA_CONSTANT_STAGED, tile.staged);
  return kernel;
}

mfa_attention_parameters attention_parameters(const Attention& problem, const Summaries& blocks) {
  mfa_attention_parameters parameters = {};
  parameters.R = (uint32_t)problem.R;
  parameters.C = (uint32_t)problem.C;
  parameters.D = (uint32_t)problem.D;
  parameters.D_V = (uint32_t)problem.Dv;
  parameters.H_ratio = (uint32_t)(problem.H / problem.Hkv);
  parameters.scores = score_parameters(problem);
  parameters.mask_heads = (uint32_t)blocks.heads;
  parameters.Q = kernel_strides(problem.q);
  parameters.K = kernel_strides(problem.k);
  parameters.V = kernel_strides(problem.v);
  parameters.O = kernel_strides(problem.o);
  uint64_t one = blocks.rows * blocks.columns;
  parameters.block_mask = {blocks.batches > 1 ? one * blocks.heads : 0, blocks.heads > 1 ? one : 0,
                           blocks.columns};
  parameters.lse_batch = problem.lse_batch;
  parameters.lse_head = problem.lse_head;
  return parameters;
}

bool summarizes(const Attention& problem, const Summaries& blocks) {
  bool addends = problem.mask_kind != MFA_MASK_NONE || problem.has_bias;
  if (!addends || problem.sparsity == Sparsity::off || blocks.columns == 0) return false;
  return problem.sparsity == Sparsity::on || blocks.columns >= min_blocks_to_summarize;
}

Step summary_step(const Attention& problem, const AttentionTile& tile, const Summaries& blocks) {
  mfa_attention_parameters parameters = attention_parameters(problem, blocks);
  return {attention_kernel(problem, tile, false, true),
          {reinterpret_cast<const char*>(&parameters), sizeof parameters},
          {blocks.rows, blocks.columns, blocks.batches * blocks.heads},
          uint32_t(MFA_SIMDGROUP_SIZE) * tile.R_splits,
          round_up(uint64_t(4) * tile.R_splits, 16)};
}

namespace {

Status too_large(const char* what, uint64_t size, uint64_t limit) {
  return failure(Code::unsupported, "%s is %" PRIu64 ", at most %" PRIu64 " is possible", what,
                 size, limit);
}

}  // namespace

Status check_attention_sizes(const Attention& problem) {
  if (problem.R > INT32_MAX) return too_large("R", problem.R, INT32_MAX);
  if (problem.C > INT32_MAX) return too_large("C", problem.C, INT32_MAX);
  if (problem.B > INT32_MAX) return too_large("B", problem.B, INT32_MAX);
  if (problem.H > INT32_MAX) return too_large("H", problem.H, INT32_MAX);
  if (problem.D > UINT16_MAX - 7) return too_large("D", problem.D, UINT16_MAX - 7);
  if (problem.Dv > UINT16_MAX - 7) return too_large("Dv", problem.Dv, UINT16_MAX - 7);
  return {};
}

Outcome<Plan> plan(const Device& device, const Attention& problem) {
  if (!device.tiles_error.ok()) return device.tiles_error;
  MFA_TRY(check_attention_sizes(problem));
  Plan plan;
  if (problem.R == 0) return plan;
  if (auto decode = as_decode(device, problem)) {
    auto few = host::plan(device, *decode);
    if (few.ok())
      few->reason = few->steps.size() > 1 ? "few queries: keys are split and merged"
                                          : "few queries: one pass over the keys";
    return few;
  }

  const AttentionTile* tile = attention_tile(device, problem);
  if (!tile)
    return failure(Code::unsupported,
                   "heads of D = %" PRIu64 " and Dv = %" PRIu64
                   " need more threadgroup memory than the %" PRIu64 " bytes of device \"%s\"",
                   problem.D, problem.Dv, device.max_threadgroup_memory, device.name.c_str());

  Summaries blocks = summaries(problem, *tile);
  bool sparse = summarizes(problem, blocks);
  mfa_attention_parameters parameters = attention_parameters(problem, blocks);
  std::string bytes(reinterpret_cast<const char*>(&parameters), sizeof parameters);
  uint32_t threads = uint32_t(MFA_SIMDGROUP_SIZE) * tile->R_splits;

  plan.reason = tile->reason;
  plan.attention_tile = tile;
  plan.tile[0] = uint32_t(tile->R_simd) * tile->R_splits;
  plan.tile[1] = tile->C_simd;
  plan.tile[2] = (uint32_t)round_up(std::max(problem.D, problem.Dv), 8);
  if (sparse) {
    plan.workspace = blocks.bytes();
    plan.steps.push_back(summary_step(problem, *tile, blocks));
  }
  plan.steps.push_back({attention_kernel(problem, *tile, sparse, false),
                        bytes,
                        {blocks.rows, problem.H, problem.B},
                        threads,
                        attention_memory(*tile, problem)});
  return plan;
}

}  // namespace mfa::host
