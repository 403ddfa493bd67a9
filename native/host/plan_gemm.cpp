// SPDX-License-Identifier: MIT
// A matrix product -> one dispatch of hgemm, sgemm or bgemm.
#include "host/plan_product.h"

namespace mfa::host {

namespace {

const char* function_of(uint32_t type) {
  return type == MFA_TYPE_FLOAT ? "sgemm" : type == MFA_TYPE_HALF ? "hgemm" : "bgemm";
}

KernelDescriptor kernel_of(const Gemm& problem, const GemmTile& tile) {
  KernelDescriptor kernel(function_of(problem.type));
  set_product(kernel, problem);
  set_tile(kernel, tile);
  kernel.set("A_padding", MFA_CONSTANT_A_PADDING, tile.A_padding);
  kernel.set("B_padding", MFA_CONSTANT_B_PADDING, tile.B_padding);
  kernel.set("tile_float", MFA_CONSTANT_TILE_FLOAT, tile.tile_float);
  kernel.set("staged", MFA_CONSTANT_STAGED, tile.staged);
  return kernel;
}

}  // namespace

Outcome<Plan> plan(const Device& device, const Gemm& problem) {
  MFA_TRY(check_sizes(problem));
  if (!device.tiles_error.ok()) return device.tiles_error;
  if (problem.M == 0 || problem.N == 0 || problem.batch == 0) return Plan();

  const GemmTile* tile = gemm_tile(device, problem);
  uint64_t memory = tile ? gemm_memory(*tile, problem.type) : 0;
  if (!tile || memory > device.max_threadgroup_memory) return no_tile(device);
  Plan plan = one_step(problem, *tile, kernel_of(problem, *tile),
                       product_parameters<mfa_gemm_parameters>(problem), memory);
  plan.gemm_tile = tile;
  return plan;
}

}  // namespace mfa::host
