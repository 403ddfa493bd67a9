// SPDX-License-Identifier: MIT
// Problem -> the kernels it takes, with tiles, grid and parameter block. Compiles and encodes
// nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "host/kernel.h"
#include "host/problem.h"

namespace mfa::host {

/// What a slot of a step is bound to, where that differs from step to step.
struct Place {
  enum class Of { data, weights, palette, bias, result, workspace };
  uint32_t slot;
  Of of;
  uint64_t offset = 0;  // bytes
};

/// One dispatch: everything but the buffers.
struct Step {
  KernelDescriptor kernel;
  std::string parameters;  // bytes for MFA_SLOT_PARAMETERS
  uint64_t grid[3];        // threadgroups; a 0 means that nothing is to do
  uint32_t threads;        // per threadgroup
  uint64_t threadgroup_memory;
  // Convolution.
  std::vector<Place> places = {};
  double work = 0;            // floating-point operations, or what takes as long
  std::string backward = {};  // bytes for MFA_SLOT_BACKWARD_PARAMETERS, if any
};

/// Where the parts of the backward pass's workspace begin; block summaries come first.
struct BackwardWorkspace {
  uint64_t sums, dq_sums, bytes;
};

/// A convolution goes into command buffers that take about this long, so that others who share the
/// device, such as a display, have their turn between them.
constexpr double seconds_per_command_buffer = 2e-3;

struct GemmTile;
struct AttentionTile;

struct Plan {
  std::vector<Step> steps;  // empty: nothing to do
  uint32_t tile[3] = {0, 0, 0};
  uint64_t workspace = 0;  // bytes of device memory for what steps hand on
  BackwardWorkspace backward = {};
  const char* reason = "nothing to compute";
  uint64_t blocks[2] = {0, 0}, block_sizes[2] = {0, 0};  // Winograd: of tiles, of filters
  // The row that the tile is from, for who asks why.
  const GemmTile* gemm_tile = nullptr;
  const AttentionTile* attention_tile = nullptr;
  bool swapped = false;  // a product's B is bound where the kernel has A, and A where it has B
  size_t after = 0;      // steps at the end that only gather what the operation itself left
};

Outcome<Plan> plan(const Device& device, const Gemm& problem);
Outcome<Plan> plan(const Device& device, const Qgemm& problem);
Outcome<Plan> plan(const Device& device, const Attention& problem);
Outcome<Plan> plan(const Device& device, const Decode& problem);
Outcome<Plan> plan(const Device& device, const Merge& problem);
Outcome<Plan> plan(const Device& device, const Cast& problem);
Outcome<Plan> plan(const Device& device, const Convolution& problem);
Outcome<Plan> plan(const Device& device, const AttentionBackward& problem);
/// The problem as one of `decode`, if that does it in less time than tiles: few queries.
std::optional<Decode> as_decode(const Device& device, const Attention& problem);
/// Into how many command buffers of the intended length the steps go.
uint32_t command_buffers(const Device& device, const Plan& plan);
/// The transform of the weights alone, and the bytes it gives.
Outcome<Plan> plan_winograd_weights(const Device& device, const Convolution& problem);
uint64_t winograd_weight_bytes(const Convolution& problem);

}  // namespace mfa::host
