// SPDX-License-Identifier: MIT
// A matrix product -> one dispatch of hgemm, sgemm or bgemm.
#include <cinttypes>

#include "host/plan.h"
#include "host/tuning.h"
#include "shared.h"

namespace mfa::host {

namespace {

const char* function_of(uint32_t type) {
  return type == MFA_TYPE_FLOAT ? "sgemm" : type == MFA_TYPE_HALF ? "hgemm" : "bgemm";
}

KernelDescriptor kernel_of(const Gemm& problem, const GemmTile& tile) {
  KernelDescriptor kernel(function_of(problem.type));
  kernel.set("A_trans", MFA_CONSTANT_A_TRANS, problem.trans_a);
  kernel.set("B_trans", MFA_CONSTANT_B_TRANS, problem.trans_b);
  kernel.set("fused_bias", MFA_CONSTANT_FUSED_BIAS, problem.bias);
  if (problem.bias) {
    kernel.set("bias_trans", MFA_CONSTANT_BIAS_TRANS, problem.bias_per_row);
    kernel.set("scale_bias", MFA_CONSTANT_SCALE_BIAS, false);
  }
  kernel.set("activation", MFA_CONSTANT_ACTIVATION, problem.activation);
  kernel.set("parameters", MFA_CONSTANT_PARAMETERS, true);
  kernel.set("M_simd", MFA_CONSTANT_M_SIMD, tile.M_simd);
  kernel.set("N_simd", MFA_CONSTANT_N_SIMD, tile.N_simd);
  kernel.set("K_simd", MFA_CONSTANT_K_SIMD, tile.K_simd);
  kernel.set("M_splits", MFA_CONSTANT_M_SPLITS, tile.M_splits);
  kernel.set("N_splits", MFA_CONSTANT_N_SPLITS, tile.N_splits);
  kernel.set("A_padding", MFA_CONSTANT_A_PADDING, tile.A_padding);
  kernel.set("B_padding", MFA_CONSTANT_B_PADDING, tile.B_padding);
  kernel.set("tile_float", MFA_CONSTANT_TILE_FLOAT, tile.tile_float);
  kernel.set("staged", MFA_CONSTANT_STAGED, tile.staged);
  return kernel;
}

}  // namespace

Outcome<Plan> plan(const Device& device, const Gemm& problem) {
  for (uint64_t size : {problem.M, problem.N, problem.K, problem.batch})
    if (size > INT32_MAX)
      return failure(Code::unsupported, "a size is %" PRIu64 ", the kernels count up to %d", size,
                     INT32_MAX);
  if (!device.tiles_error.ok()) return device.tiles_error;
  Plan plan;
  if (problem.M == 0 || problem.N == 0 || problem.batch == 0) return plan;

  const GemmTile* tile = gemm_tile(device, problem);
  uint64_t memory = tile ? gemm_memory(*tile, problem.type) : 0;
  if (!tile || memory > device.max_threadgroup_memory)
    return failure(Code::unsupported, "device \"%s\" has no tile for this product",
                   device.name.c_str());

  mfa_gemm_parameters parameters = {};
  parameters.M = (uint32_t)problem.M;
  parameters.N = (uint32_t)problem.N;
  parameters.K = (uint32_t)problem.K;
  parameters.alpha = problem.alpha;
  parameters.beta = problem.beta;
  parameters.lda = problem.lda;
  parameters.ldb = problem.ldb;
  parameters.ldc = problem.ldc;
  parameters.batch_a = problem.stride_a;
  parameters.batch_b = problem.stride_b;
  parameters.batch_c = problem.stride_c;
  parameters.batch_bias = problem.stride_bias;

  uint32_t M_group = tile->M_simd * tile->M_splits, N_group = tile->N_simd * tile->N_splits;
  plan.reason = tile->reason;
  plan.gemm_tile = tile;
  plan.tile[0] = M_group;
  plan.tile[1] = N_group;
  plan.tile[2] = tile->K_simd;
  plan.steps.push_back({kernel_of(problem, *tile),
                        {reinterpret_cast<const char*>(&parameters), sizeof parameters},
                        {round_up(problem.N, N_group) / N_group,
                         round_up(problem.M, M_group) / M_group, problem.batch},
                        uint32_t(MFA_SIMDGROUP_SIZE) * tile->M_splits * tile->N_splits,
                        memory});
  return plan;
}

}  // namespace mfa::host
