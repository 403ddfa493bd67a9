// SPDX-License-Identifier: MIT
// A product with quantized weights -> one dispatch of qgemm.
#include "host/plan_product.h"

namespace mfa::host {

namespace {

/// Every stored row of every matrix begins with a byte of its own.
bool byte_rows(const Qgemm& problem) {
  auto whole = [&](uint64_t numbers) { return numbers * problem.bits % 8 == 0; };
  return whole(problem.first_b) && whole(problem.ldb) && whole(problem.stride_b);
}

KernelDescriptor kernel_of(const Device& device, const Qgemm& problem, const QgemmTile& tile) {
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
  if (problem.affine()) kernel.set("lookup", MFA_CONSTANT_LOOKUP, device.avx512());
  set_product(kernel, problem);
  kernel.set("vector", MFA_CONSTANT_VECTOR, tile.vector);
  set_tile(kernel, tile);
  if (tile.vector) return kernel;
  kernel.set("tile_float", MFA_CONSTANT_TILE_FLOAT, tile.tile_float);
  kernel.set("staged", MFA_CONSTANT_STAGED, tile.staged);
  return kernel;
}

mfa_qgemm_parameters parameters_of(const Qgemm& problem) {
  auto parameters = product_parameters<mfa_qgemm_parameters>(problem);
  parameters.first_b = problem.first_b;
  parameters.ld_scales = problem.ld_scales;
  parameters.batch_scales = problem.stride_scales;
  return parameters;
}

}  // namespace

Outcome<Plan> plan(const Device& device, const Qgemm& problem) {
  MFA_TRY(check_sizes(problem));
  if (problem.M == 0 || problem.N == 0 || problem.batch == 0) return Plan();

  const QgemmTile* tile = qgemm_tile(device, problem);
  uint64_t memory = tile ? qgemm_memory(*tile, problem.input_type) : 0;
  if (!tile || memory > device.max_threadgroup_memory) return no_tile(device);
  return one_step(problem, *tile, kernel_of(device, problem, *tile), parameters_of(problem),
                  memory);
}

}  // namespace mfa::host
