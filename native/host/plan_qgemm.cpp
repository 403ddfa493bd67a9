// SPDX-License-Identifier: MIT
// A product with quantized weights -> one dispatch of qgemm.
#include <cinttypes>

#include "host/plan.h"
#include "host/tuning.h"
#include "shared.h"

namespace mfa::host {

namespace {

/// Every stored row of every matrix begins with a byte of its own.
bool byte_rows(const Qgemm& problem) {
  auto whole = [&](uint64_t numbers) { return numbers * problem.bits % 8 == 0; };
  return whole(problem.first_b) && whole(problem.ldb) && whole(problem.stride_b);
}

KernelDescriptor kernel_of(const Qgemm& problem, const QgemmTile& tile) {
  KernelDescriptor kernel("qgemm");
  kernel.set("input_type", MFA_CONSTANT_DATA_TYPE, problem.input_type);
  kernel.set("weight_type", MFA_CONSTANT_WEIGHT_TYPE, problem.weight_type);
  kernel.set("output_type", MFA_CONSTANT_OUTPUT_TYPE, problem.output_type);
  kernel.set("quantization", MFA_CONSTANT_QUANTIZATION, problem.quantization);
  kernel.set("bits", MFA_CONSTANT_BITS, problem.bits);
  kernel.set("group_size", MFA_CONSTANT_GROUP_SIZE, problem.group_size);
  if (problem.quantization == MFA_QUANTIZATION_PALETTE)
    kernel.set("palette_axis", MFA_CONSTANT_PALETTE_AXIS, (uint32_t)problem.palette_columns);
  kernel.set("msb_first", MFA_CONSTANT_MSB_FIRST, problem.msb_first);
  kernel.set("byte_rows", MFA_CONSTANT_BYTE_ROWS, byte_rows(problem));
  kernel.set("A_trans", MFA_CONSTANT_A_TRANS, problem.trans_a);
  kernel.set("B_trans", MFA_CONSTANT_B_TRANS, problem.trans_b);
  kernel.set("fused_bias", MFA_CONSTANT_FUSED_BIAS, problem.bias);
  if (problem.bias) {
    kernel.set("bias_trans", MFA_CONSTANT_BIAS_TRANS, problem.bias_per_row);
    kernel.set("scale_bias", MFA_CONSTANT_SCALE_BIAS, false);
  }
  kernel.set("activation", MFA_CONSTANT_ACTIVATION, problem.activation);
  kernel.set("parameters", MFA_CONSTANT_PARAMETERS, true);
  kernel.set("vector", MFA_CONSTANT_VECTOR, tile.vector);
  kernel.set("M_simd", MFA_CONSTANT_M_SIMD, tile.M_simd);
  kernel.set("N_simd", MFA_CONSTANT_N_SIMD, tile.N_simd);
  kernel.set("M_splits", MFA_CONSTANT_M_SPLITS, tile.M_splits);
  kernel.set("N_splits", MFA_CONSTANT_N_SPLITS, tile.N_splits);
  if (tile.vector) return kernel;
  kernel.set("K_simd", MFA_CONSTANT_K_SIMD, tile.K_simd);
  kernel.set("tile_float", MFA_CONSTANT_TILE_FLOAT, tile.tile_float);
  kernel.set("staged", MFA_CONSTANT_STAGED, tile.staged);
  return kernel;
}

mfa_qgemm_parameters parameters_of(const Qgemm& problem) {
  mfa_qgemm_parameters parameters = {};
  parameters.M = (uint32_t)problem.M;
  parameters.N = (uint32_t)problem.N;
  parameters.K = (uint32_t)problem.K;
  parameters.alpha = problem.alpha;
  parameters.beta = problem.beta;
  parameters.lda = problem.lda;
  parameters.ldb = problem.ldb;
  parameters.ldc = problem.ldc;
  parameters.first_b = problem.first_b;
  parameters.ld_scales = problem.ld_scales;
  parameters.batch_a = problem.stride_a;
  parameters.batch_b = problem.stride_b;
  parameters.batch_c = problem.stride_c;
  parameters.batch_bias = problem.stride_bias;
  parameters.batch_scales = problem.stride_scales;
  return parameters;
}

}  // namespace

Outcome<Plan> plan(const Device& device, const Qgemm& problem) {
  for (uint64_t size : {problem.M, problem.N, problem.K, problem.batch})
    if (size > INT32_MAX)
      return failure(Code::unsupported, "a size is %" PRIu64 ", the kernels count up to %d", size,
                     INT32_MAX);
  Plan plan;
  if (problem.M == 0 || problem.N == 0 || problem.batch == 0) return plan;

  const QgemmTile* tile = qgemm_tile(device, problem);
  uint64_t memory = tile ? qgemm_memory(*tile, problem.input_type) : 0;
  if (!tile || memory > device.max_threadgroup_memory)
    return failure(Code::unsupported, "device \"%s\" has no tile for this product",
                   device.name.c_str());
  mfa_qgemm_parameters parameters = parameters_of(problem);
  uint32_t M_group = tile->M_simd * tile->M_splits, N_group = tile->N_simd * tile->N_splits;
  plan.reason = tile->reason;
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
