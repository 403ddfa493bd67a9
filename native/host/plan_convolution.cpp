// SPDX-License-Identifier: MIT
// A convolution -> the algorithm that suits it, and its dispatches: a GEMM for windows of one
// element, otherwise variants of the kernel `convolution`.
#include <algorithm>
#include <cinttypes>
#include <numeric>

#include "host/plan_convolution.h"
#include "host/plan_product.h"
#include "host/tuning.h"
#include "shared.h"

namespace mfa::host {

namespace {

constexpr uint64_t largest_window = 4096;  // elements; their coordinates are numbers of 32 bits

Status check_limits(const Convolution& problem) {
  auto too_large = [](const char* what, uint64_t size, uint64_t limit) {
    return failure(Code::unsupported, "%s is %" PRIu64 ", at most %" PRIu64 " is possible", what,
                   size, limit);
  };
  constexpr uint64_t limit = INT32_MAX / 4;  // coordinates may lie outside the image
  uint64_t window = 1, pixels = problem.images;
  if (problem.C > limit) return too_large("C", problem.C, limit);
  if (problem.K > limit) return too_large("K", problem.K, limit);
  if (problem.images > limit) return too_large("N", problem.images, limit);
  for (int d = 0; d < 3; ++d) {
    if (problem.input[d] > limit) return too_large("an input size", problem.input[d], limit);
    if (problem.output[d] > limit) return too_large("an output size", problem.output[d], limit);
    if (problem.padding[d] > limit) return too_large("padding", problem.padding[d], limit);
    if (problem.stride[d] > limit) return too_large("stride", problem.stride[d], limit);
    if (problem.window[d] > largest_window)
      return too_large("a window size", problem.window[d], largest_window);
    if (problem.dilation[d] > limit / largest_window)
      return too_large("dilation", problem.dilation[d], limit / largest_window);
    window *= problem.window[d];
    if (window > largest_window) return too_large("the window", window, largest_window);
    if (problem.output[d] && pixels > INT32_MAX / problem.output[d])
      return too_large("the number of output pixels", UINT64_MAX, INT32_MAX);
    pixels *= problem.output[d];
  }
  uint64_t phases = problem.stride[0] * problem.stride[1] * problem.stride[2];
  if (problem.transposed && phases > 1024)
    return too_large("the product of strides of a transposed convolution", phases, 1024);
  if (window * (problem.C / problem.groups) > INT32_MAX)
    return too_large("window * C / groups", window * (problem.C / problem.groups), INT32_MAX);
  return {};
}

bool is_matrix_product(const Convolution& problem) {
  for (int d = 0; d < 3; ++d)
    if (problem.window[d] != 1 || problem.stride[d] != 1 || problem.padding[d] != 0 ||
        problem.output[d] != problem.input[d])
      return false;
  return true;
}

uint64_t pixels_of(const Convolution& problem) {
  return problem.images * problem.output[0] * problem.output[1] * problem.output[2];
}

/// The groups are the batch: their channels lie side by side in data and output.
Outcome<Plan> plan_product(const Device& device, const Convolution& problem) {
  Gemm gemm = {};
  gemm.type = problem.type;
  gemm.M = pixels_of(problem);
  gemm.N = problem.K / problem.groups;
  gemm.K = problem.C / problem.groups;
  gemm.batch = problem.groups;
  gemm.lda = problem.C;
  gemm.ldb = gemm.K;
  gemm.ldc = problem.K;
  gemm.stride_a = gemm.K;
  gemm.stride_b = gemm.N * gemm.K;
  gemm.stride_c = gemm.stride_bias = gemm.N;
  gemm.alpha = 1;
  gemm.activation = problem.activation;
  gemm.trans_b = true;
  gemm.bias = problem.bias;
  const uint64_t rows = gemm.M, element = type_size(problem.type);
  const double work_per_row = 2.0 * (double)gemm.K * (double)problem.K;
  const double room = device.rate() * seconds_per_command_buffer / std::max(work_per_row, 1.0);
  const uint64_t most = round_up((uint64_t)std::min(room, (double)rows) + 1, 64);
  Plan result;
  for (uint64_t first = 0; first < rows; first += most) {
    gemm.M = std::min(most, rows - first);
    auto planned = plan(device, gemm);
    if (!planned.ok()) return planned;
    if (first == 0) result = *planned, result.steps.clear();
    for (Step& step : planned->steps) {
      const uint32_t data = planned->swapped ? MFA_SLOT_B : MFA_SLOT_A;
      const uint32_t weights = planned->swapped ? MFA_SLOT_A : MFA_SLOT_B;
      step.places = {{data, Place::Of::data, first * problem.C * element},
                     {weights, Place::Of::weights},
                     {MFA_SLOT_C, Place::Of::result, first * problem.K * element}};
      if (problem.bias) step.places.push_back({MFA_SLOT_BIAS, Place::Of::bias});
      step.work = work_per_row * (double)gemm.M;
      result.steps.push_back(std::move(step));
    }
  }
  result.reason = "a window of one element: a matrix product";
  return result;
}

/// The outputs that one dispatch computes: all, or, transposed, those of one phase of the stride.
struct Phase {
  uint64_t outputs[3], taps[3];
  int64_t first[3], step[3], tap_step[3];
  uint64_t window_first[3], window_step[3];
  uint64_t output_first[3], output_step[3];
};

Phase whole(const Convolution& problem) {
  Phase phase;
  for (int d = 0; d < 3; ++d) {
    phase.outputs[d] = problem.output[d];
    phase.taps[d] = problem.window[d];
    phase.first[d] = -(int64_t)problem.padding[d];
    phase.step[d] = (int64_t)problem.stride[d];
    phase.tap_step[d] = (int64_t)problem.dilation[d];
    phase.window_first[d] = 0;
    phase.window_step[d] = 1;
    phase.output_first[d] = 0;
    phase.output_step[d] = 1;
  }
  return phase;
}

/// Transposed, output o receives input i through window position w where
///   o + padding = i * stride + w * dilation,
/// so outputs o = offset + n * stride meet positions w = w0 + t * stride / gcd(stride, dilation),
/// and t -> t + 1 goes back dilation / gcd(stride, dilation) inputs.
void set_phase(const Convolution& problem, int d, uint64_t offset, Phase& phase) {
  uint64_t stride = problem.stride[d], dilation = problem.dilation[d];
  uint64_t common = std::gcd(stride, dilation);
  uint64_t start = offset + problem.padding[d], w = 0;
  while (w < problem.window[d] && (start + w * (stride - dilation % stride)) % stride != 0) ++w;
  bool meets = w < problem.window[d];
  phase.outputs[d] = offset < problem.output[d] ? (problem.output[d] - offset - 1) / stride + 1 : 0;
  phase.window_first[d] = meets ? w : 0;
  phase.window_step[d] = stride / common;
  phase.taps[d] = meets ? (problem.window[d] - w - 1) / phase.window_step[d] + 1 : 0;
  phase.first[d] = ((int64_t)start - (int64_t)(phase.window_first[d] * dilation)) / (int64_t)stride;
  phase.step[d] = 1;
  phase.tap_step[d] = -(int64_t)(dilation / common);
  phase.output_first[d] = offset;
  phase.output_step[d] = stride;
}

std::vector<Phase> phases_of(const Convolution& problem) {
  if (!problem.transposed) return {whole(problem)};
  std::vector<Phase> phases;
  for (uint64_t z = 0; z < problem.stride[0]; ++z)
    for (uint64_t y = 0; y < problem.stride[1]; ++y)
      for (uint64_t x = 0; x < problem.stride[2]; ++x) {
        Phase phase;
        set_phase(problem, 0, z, phase);
        set_phase(problem, 1, y, phase);
        set_phase(problem, 2, x, phase);
        if (phase.outputs[0] && phase.outputs[1] && phase.outputs[2]) phases.push_back(phase);
      }
  return phases;
}

mfa_convolution_parameters parameters_of(const Convolution& problem, const Phase& phase) {
  mfa_convolution_parameters p = {};
  p.images = (uint32_t)problem.images;
  p.groups = (uint32_t)problem.groups;
  p.C = (uint32_t)(problem.C / problem.groups);
  p.K = (uint32_t)(problem.K / problem.groups);
  uint64_t input = problem.C, output = problem.K;
  for (int d = 2; d >= 0; --d) {
    p.input[d] = (uint32_t)problem.input[d];
    p.outputs[d] = (uint32_t)phase.outputs[d];
    p.taps[d] = (uint32_t)phase.taps[d];
    p.first[d] = (int32_t)phase.first[d];
    p.step[d] = (int32_t)phase.step[d];
    p.tap_step[d] = (int32_t)phase.tap_step[d];
    p.window_first[d] = (uint32_t)phase.window_first[d];
    p.window_step[d] = (uint32_t)phase.window_step[d];
    p.input_stride[d] = input;
    p.output_stride[d] = output * phase.output_step[d];
    p.output_first += output * phase.output_first[d];
    input *= problem.input[d];
    output *= problem.output[d];
  }
  p.input_image = input;
  p.output_image = output;
  return p;
}

/// The dispatches of one phase: as many as keep each of them short.
void add_steps(const Device& device, Step step, mfa_convolution_parameters p, uint64_t blocks,
               double work_per_block, Plan& plan) {
  double room = device.rate() * seconds_per_command_buffer / std::max(work_per_block, 1.0);
  uint64_t most = std::max<uint64_t>(1, (uint64_t)std::min(room, (double)blocks));
  uint64_t count = (blocks + most - 1) / most;
  for (uint64_t i = 0; i < count; ++i) {
    uint64_t first = blocks * i / count, end = blocks * (i + 1) / count;
    p.first_block = (uint32_t)first;
    step.parameters.assign(reinterpret_cast<const char*>(&p), sizeof p);
    step.grid[1] = end - first;
    step.work = work_per_block * (double)(end - first);
    plan.steps.push_back(step);
  }
}

/// Multiplications and additions per output pixel.
double work_per_pixel(const Convolution& problem, const Phase& phase) {
  return 2.0 * (double)(phase.taps[0] * phase.taps[1] * phase.taps[2]) *
         (double)(problem.C / problem.groups) * (double)problem.K;
}

std::vector<Place> places_of(const Convolution& problem) {
  std::vector<Place> places = {{MFA_SLOT_DATA, Place::Of::data},
                               {MFA_SLOT_WEIGHTS, Place::Of::weights},
                               {MFA_SLOT_RESULT, Place::Of::result}};
  if (problem.bias) places.push_back({MFA_SLOT_BIAS, Place::Of::bias});
  if (problem.weights == Weights::palettized)
    places.push_back({MFA_SLOT_PALETTE, Place::Of::palette});
  return places;
}

bool is_depthwise(const Convolution& problem) {
  return problem.groups == problem.C && problem.groups > 1;
}

uint64_t depthwise_memory(const Convolution& problem) {
  return problem.window[0] * problem.window[1] * problem.window[2] * (problem.C / problem.groups) *
         MFA_SIMDGROUP_SIZE * sizeof(float);
}

/// Groups of so few channels that the depthwise variant finds them in the lanes beside.
bool has_small_groups(const Device& device, const Convolution& problem) {
  const uint64_t channels = problem.C / problem.groups;
  return problem.groups > 1 && problem.K == problem.C && channels <= MFA_DEPTHWISE_GROUP &&
         (channels & (channels - 1)) == 0 &&
         depthwise_memory(problem) <= device.max_threadgroup_memory;
}

Outcome<Plan> plan_depthwise(const Device& device, const Convolution& problem) {
  Plan plan;
  const bool depthwise = is_depthwise(problem);
  plan.reason = depthwise ? "one input channel per group: depthwise"
                          : "few channels per group: as depthwise, from the lanes beside";
  KernelDescriptor kernel = convolution_kernel(problem, MFA_VARIANT_DEPTHWISE);
  uint64_t window = problem.window[0] * problem.window[1] * problem.window[2];
  uint64_t memory = depthwise_memory(problem);
  if (memory > device.max_threadgroup_memory)
    return failure(Code::unsupported,
                   "a depthwise window of %" PRIu64 " elements needs %" PRIu64
                   " bytes of threadgroup memory, device \"%s\" has %" PRIu64,
                   window, memory, device.name.c_str(), device.max_threadgroup_memory);
  // Each threadgroup fetches the weights; a GPU needs many threadgroups all the same.
  const uint32_t strips = device.backend == Backend::metal ? 8 : 32;
  plan.tile[0] = strips * MFA_DEPTHWISE_OUTPUTS;
  plan.tile[1] = MFA_SIMDGROUP_SIZE;
  plan.tile[2] = (uint32_t)window;
  uint16_t splits = device.backend == Backend::metal ? 4 : 1;
  kernel.set("M_splits", MFA_CONSTANT_M_SPLITS, splits);
  if (!depthwise)
    kernel.set("group_channels", MFA_CONSTANT_GROUP_CHANNELS, uint32_t(problem.C / problem.groups));
  for (const Phase& phase : phases_of(problem)) {
    const uint64_t rows = problem.images * phase.outputs[0] * phase.outputs[1];
    const uint64_t all =
        rows * (round_up(phase.outputs[2], MFA_DEPTHWISE_OUTPUTS) / MFA_DEPTHWISE_OUTPUTS);
    uint64_t columns = round_up(problem.K, MFA_SIMDGROUP_SIZE) / MFA_SIMDGROUP_SIZE;
    Step step = {kernel,          {},
                 {columns, 0, 1}, uint32_t(MFA_SIMDGROUP_SIZE) * splits,
                 memory,          places_of(problem)};
    mfa_convolution_parameters parameters = parameters_of(problem, phase);
    parameters.strips = strips;
    // Every element is read for one multiplication.
    add_steps(device, step, parameters, round_up(all, strips) / strips,
              10 * strips * MFA_DEPTHWISE_OUTPUTS * work_per_pixel(problem, phase), plan);
  }
  return plan;
}

Outcome<Plan> plan_implicit(const Device& device, const Convolution& problem) {
  std::vector<Phase> phases = phases_of(problem);
  uint64_t most = 0;
  for (const Phase& phase : phases)
    most = std::max(most, problem.images * phase.outputs[0] * phase.outputs[1] * phase.outputs[2]);
  const ConvolutionTile* tile = convolution_tile(device, problem, most);
  if (!tile)
    return failure(Code::unsupported, "device \"%s\" has no tile for this convolution",
                   device.name.c_str());
  KernelDescriptor kernel = convolution_kernel(problem, MFA_VARIANT_IMPLICIT_GEMM);
  kernel.set("window_rows", MFA_CONSTANT_WINDOW_ROWS,
             !problem.transposed && problem.groups == 1 && problem.dilation[2] == 1);
  set_tile(kernel, *tile);
  kernel.set("tile_float", MFA_CONSTANT_TILE_FLOAT, tile->tile_float);
  kernel.set("staged", MFA_CONSTANT_STAGED, tile->staged);

  Plan plan;
  plan.reason = tile->reason;
  uint32_t M_group = tile->M_simd * tile->M_splits, N_group = tile->N_simd * tile->N_splits;
  plan.tile[0] = M_group;
  plan.tile[1] = N_group;
  plan.tile[2] = tile->K_simd;
  uint64_t blocks = round_up(problem.K / problem.groups, N_group) / N_group;
  for (const Phase& phase : phases) {
    uint64_t pixels = problem.images * phase.outputs[0] * phase.outputs[1] * phase.outputs[2];
    Step step = {kernel,
                 {},
                 {blocks, 0, problem.groups},
                 uint32_t(MFA_SIMDGROUP_SIZE) * tile->M_splits * tile->N_splits,
                 convolution_memory(*tile, problem.type),
                 places_of(problem)};
    add_steps(device, step, parameters_of(problem, phase), round_up(pixels, M_group) / M_group,
              M_group * work_per_pixel(problem, phase), plan);
  }
  return plan;
}

}  // namespace

KernelDescriptor convolution_kernel(const Convolution& problem, uint32_t variant) {
  KernelDescriptor kernel("convolution");
  kernel.set("variant", MFA_CONSTANT_VARIANT, variant);
  kernel.set("dimensions", MFA_CONSTANT_DIMENSIONS, problem.dimensions);
  if (problem.dimensions > 2)
    kernel.set("window_z", MFA_CONSTANT_WINDOW_Z, (uint32_t)problem.window[0]);
  if (problem.dimensions > 1)
    kernel.set("window_y", MFA_CONSTANT_WINDOW_Y, (uint32_t)problem.window[1]);
  kernel.set("window_x", MFA_CONSTANT_WINDOW_X, (uint32_t)problem.window[2]);
  kernel.set("part_of_window", MFA_CONSTANT_PART_OF_WINDOW, problem.transposed);
  kernel.set("data_type", MFA_CONSTANT_DATA_TYPE, problem.type);
  kernel.set("fused_bias", MFA_CONSTANT_FUSED_BIAS, problem.bias);
  kernel.set("activation", MFA_CONSTANT_ACTIVATION, problem.activation);
  kernel.set("parameters", MFA_CONSTANT_PARAMETERS, true);
  kernel.set("B_trans", MFA_CONSTANT_B_TRANS, true);
  if (problem.weights == Weights::palettized) {
    kernel.set("quantization", MFA_CONSTANT_QUANTIZATION, uint32_t(MFA_QUANTIZATION_PALETTE));
    kernel.set("bits", MFA_CONSTANT_BITS, problem.palette_bits);
    kernel.set("group_size", MFA_CONSTANT_GROUP_SIZE, problem.palette_group);
    kernel.set("msb_first", MFA_CONSTANT_MSB_FIRST, problem.msb_first);
    // Then 8 weights in a row begin with a byte, wherever the kernel begins to read.
    kernel.set("byte_rows", MFA_CONSTANT_BYTE_ROWS, problem.C / problem.groups % 8 == 0);
  }
  return kernel;
}

uint32_t command_buffers(const Device& device, const Plan& plan) {
  double work = 0, most = device.rate() * seconds_per_command_buffer;
  uint32_t count = plan.steps.empty() ? 0 : 1;
  for (const Step& step : plan.steps) {
    bool full = work != 0 && work + step.work > most;
    count += full;
    work = full ? step.work : work + step.work;
  }
  return count;
}

Outcome<Plan> plan(const Device& device, const Convolution& problem) {
  MFA_TRY(check_limits(problem));
  if (pixels_of(problem) == 0 || problem.K == 0) return Plan();
  if (problem.algorithm == Algorithm::winograd || problem.weights == Weights::winograd) {
    if (problem.algorithm == Algorithm::direct)
      return failure(Code::unsupported,
                     "weights that are transformed for Winograd serve no other "
                     "algorithm");
    MFA_TRY(winograd_applies(problem));
    return plan_winograd(device, problem);
  }
  if (problem.algorithm == Algorithm::automatic && winograd_pays(problem))
    return plan_winograd(device, problem);
  if (is_depthwise(problem) || has_small_groups(device, problem))
    return plan_depthwise(device, problem);
  if (is_matrix_product(problem) && problem.weights == Weights::dense)
    return plan_product(device, problem);
  return plan_implicit(device, problem);
}

}  // namespace mfa::host
