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
  const bool vector = tile.vector != GemmTile::Vector::no;
  if (vector) kernel.set("vector", MFA_CONSTANT_VECTOR, true);
  if (vector) return kernel;
  kernel.set("A_padding", MFA_CONSTANT_A_PADDING, tile.A_padding);
  kernel.set("B_padding", MFA_CONSTANT_B_PADDING, tile.B_padding);
  kernel.set("tile_float", MFA_CONSTANT_TILE_FLOAT, tile.tile_float);
  kernel.set("staged", MFA_CONSTANT_STAGED, tile.staged);
  return kernel;
}

/// One column of contiguous numbers is a row: C^T = op(B)^T * op(A)^T.
bool is_column(const Gemm& problem) {
  return problem.N == 1 && problem.M > 1 && problem.ldc == 1 &&
         (problem.trans_b || problem.ldb == 1);
}

Gemm turned(Gemm problem) {
  std::swap(problem.M, problem.N);
  std::swap(problem.stride_a, problem.stride_b);
  problem.ldb = problem.lda;
  problem.lda = problem.K;
  problem.ldc = problem.N;
  problem.trans_b = !problem.trans_a;
  problem.trans_a = false;
  problem.bias_per_row = !problem.bias_per_row;
  return problem;
}

}  // namespace

Outcome<Plan> plan(const Device& device, const Gemm& given) {
  MFA_TRY(check_sizes(given));
  const bool column = is_column(given);
  Gemm problem = column ? turned(given) : given;
  // One row lies the same way transposed.
  if (problem.M == 1 && problem.trans_a && problem.lda == 1) problem.trans_a = false;
  if (!device.tiles_error.ok()) return device.tiles_error;
  if (problem.M == 0 || problem.N == 0 || problem.batch == 0) return Plan();

  const GemmTile* tile = gemm_tile(device, problem);
  uint64_t memory = tile ? gemm_memory(*tile, problem.type) : 0;
  if (!tile || memory > device.max_threadgroup_memory) return no_tile(device);
  Plan plan = one_step(problem, *tile, kernel_of(problem, *tile),
                       product_parameters<mfa_gemm_parameters>(problem), memory);
  plan.gemm_tile = tile;
  plan.swapped = column;
  return plan;
}

}  // namespace mfa::host
