// SPDX-License-Identifier: MIT
// What products of every kind put into their plans: constants, parameters, grid.
#pragma once

#include <cinttypes>
#include <utility>

#include "host/plan.h"
#include "host/tuning.h"
#include "shared.h"

namespace mfa::host {

inline Status check_sizes(const Product& problem) {
  for (uint64_t size : {problem.M, problem.N, problem.K, problem.batch})
    if (size > INT32_MAX)
      return failure(Code::unsupported, "a size is %" PRIu64 ", the kernels count up to %d", size,
                     INT32_MAX);
  return {};
}

inline void set_product(KernelDescriptor& kernel, const Product& problem) {
  kernel.set("A_trans", MFA_CONSTANT_A_TRANS, problem.trans_a);
  kernel.set("B_trans", MFA_CONSTANT_B_TRANS, problem.trans_b);
  kernel.set("fused_bias", MFA_CONSTANT_FUSED_BIAS, problem.bias);
  if (problem.bias) {
    kernel.set("bias_trans", MFA_CONSTANT_BIAS_TRANS, problem.bias_per_row);
    kernel.set("scale_bias", MFA_CONSTANT_SCALE_BIAS, false);
  }
  kernel.set("activation", MFA_CONSTANT_ACTIVATION, problem.activation);
  kernel.set("parameters", MFA_CONSTANT_PARAMETERS, true);
}

/// A K_simd of 0 stays undefined: nothing is cut along K.
template <class Tile>
void set_tile(KernelDescriptor& kernel, const Tile& tile) {
  kernel.set("M_simd", MFA_CONSTANT_M_SIMD, tile.M_simd);
  kernel.set("N_simd", MFA_CONSTANT_N_SIMD, tile.N_simd);
  if (tile.K_simd) kernel.set("K_simd", MFA_CONSTANT_K_SIMD, tile.K_simd);
  kernel.set("M_splits", MFA_CONSTANT_M_SPLITS, tile.M_splits);
  kernel.set("N_splits", MFA_CONSTANT_N_SPLITS, tile.N_splits);
}

/// mfa_gemm_parameters, or what mfa_qgemm_parameters has of them.
template <class Parameters>
Parameters product_parameters(const Product& problem) {
  Parameters parameters = {};
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
  return parameters;
}

/// One dispatch: a threadgroup for each block of C.
template <class Tile, class Parameters>
Plan one_step(const Product& problem, const Tile& tile, KernelDescriptor kernel,
              const Parameters& parameters, uint64_t memory) {
  uint32_t M_group = tile.M_simd * tile.M_splits, N_group = tile.N_simd * tile.N_splits;
  Plan plan;
  plan.reason = tile.reason;
  plan.tile[0] = M_group;
  plan.tile[1] = N_group;
  plan.tile[2] = tile.K_simd;
  plan.steps.push_back({std::move(kernel),
                        {reinterpret_cast<const char*>(&parameters), sizeof parameters},
                        {round_up(problem.N, N_group) / N_group,
                         round_up(problem.M, M_group) / M_group, problem.batch},
                        uint32_t(MFA_SIMDGROUP_SIZE) * tile.M_splits * tile.N_splits,
                        memory});
  return plan;
}

inline Status no_tile(const Device& device) {
  return failure(Code::unsupported, "device \"%s\" has no tile for this product",
                 device.name.c_str());
}

}  // namespace mfa::host
