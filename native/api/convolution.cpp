// SPDX-License-Identifier: MIT
// mfa_convolution: its descriptor -> a problem of the host with the sizes it implies, and the call.
#include <cinttypes>

#include "api/operands.h"
#include "api/problems.h"
#include "api/structs.h"
#include "host/encode.h"
#include "host/plan.h"

namespace mfa::api {

namespace {

constexpr uint64_t largest = UINT32_MAX;  // sizes above are refused before they are multiplied

/// The size of the output along one dimension. `begin`, `end`: padding.
Outcome<uint64_t> output_size(int d, const mfa_convolution_desc& desc, uint64_t input,
                              uint64_t window, uint64_t stride, uint64_t dilation, uint64_t begin,
                              uint64_t end) {
  uint64_t reach = dilation * (window - 1) + 1;
  if (!desc.transposed) {
    uint64_t padded = input + begin + end;
    if (padded < reach)
      return failure(Code::invalid_argument,
                     "desc->window[%d] reaches over %" PRIu64
                     " elements, the padded input has "
                     "%" PRIu64,
                     d, reach, padded);
    return (padded - reach) / stride + 1;
  }
  if (input == 0) return 0;
  uint64_t more = desc.output_padding[d];
  if (more != 0 && more >= stride && more >= dilation)
    return failure(Code::invalid_argument,
                   "desc->output_padding[%d] is %" PRIu64 ", expected less than the stride %" PRIu64
                   " or the dilation %" PRIu64,
                   d, more, stride, dilation);
  uint64_t size = (input - 1) * stride + reach + more;
  if (size < begin + end)
    return failure(Code::invalid_argument,
                   "desc->padding[%d] cuts off %" PRIu64 " elements of %" PRIu64, d, begin + end,
                   size);
  return size - begin - end;
}

Status check_sizes(int d, const mfa_convolution_desc& desc) {
  struct {
    const char* name;
    uint64_t value, least;
  } sizes[] = {{"input", desc.input[d], 0},
               {"window", desc.window[d], 1},
               {"stride", desc.stride[d], 0},
               {"dilation", desc.dilation[d], 0},
               {"padding", desc.padding[d], 0},
               {"padding_end", desc.padding_end[d], 0},
               {"output_padding", desc.output_padding[d], 0}};
  for (const auto& size : sizes) {
    if (size.value < size.least)
      return failure(Code::invalid_argument, "desc->%s[%d] is 0, expected at least 1", size.name,
                     d);
    if (size.value > largest / 4)
      return failure(Code::unsupported,
                     "desc->%s[%d] is %" PRIu64 ", at most %" PRIu64 " is possible", size.name, d,
                     size.value, largest / 4);
  }
  bool explicit_padding = desc.padding_mode == MFA_PADDING_EXPLICIT;
  if (!explicit_padding && (desc.padding[d] || desc.padding_end[d]))
    return failure(Code::invalid_argument,
                   "desc->padding[%d] is given but desc->padding_mode is not "
                   "MFA_PADDING_EXPLICIT",
                   d);
  if (!desc.transposed && desc.output_padding[d])
    return failure(Code::invalid_argument,
                   "desc->output_padding[%d] is %" PRIu64 " but desc->transposed is false", d,
                   desc.output_padding[d]);
  return {};
}

/// One dimension; `at` is its place in the host's arrays, which are filled from the end.
Status set_dimension(int d, int at, const mfa_convolution_desc& desc, host::Convolution& problem) {
  MFA_TRY(check_sizes(d, desc));
  uint64_t input = desc.input[d], window = desc.window[d];
  uint64_t stride = or_default(desc.stride[d], 1), dilation = or_default(desc.dilation[d], 1);
  uint64_t begin = desc.padding[d], end = desc.padding_end[d];
  if (desc.padding_mode == MFA_PADDING_SAME) {
    uint64_t reach = dilation * (window - 1) + 1, total = reach;
    if (desc.transposed)
      return failure(Code::unsupported,
                     "desc->padding_mode is MFA_PADDING_SAME, which a transposed convolution does "
                     "not have");
    if (input != 0) {
      uint64_t needed = (input - 1) / stride * stride + reach;
      total = needed > input ? needed - input : 0;
    }
    begin = total / 2;
    end = total - begin;
  }
  auto output = output_size(d, desc, input, window, stride, dilation, begin, end);
  if (!output.ok()) return output.status();
  problem.input[at] = input;
  problem.output[at] = *output;
  problem.window[at] = window;
  problem.stride[at] = stride;
  problem.dilation[at] = dilation;
  problem.padding[at] = begin;
  return {};
}

}  // namespace

Outcome<host::Convolution> problem_of(const mfa_convolution_desc* given, bool bias) {
  mfa_convolution_desc desc;
  MFA_TRY(read_struct(given, desc, sizeof(mfa_convolution_desc), "desc", "mfa_convolution_desc"));
  if (desc.dimensions < 1 || desc.dimensions > 3)
    return failure(Code::invalid_argument, "desc->dimensions is %u, expected 1, 2 or 3",
                   desc.dimensions);
  auto check_enum = [](const char* name, unsigned value, unsigned last) -> Status {
    if (value <= last) return {};
    return failure(Code::invalid_argument, "%s is %u, expected at most %u", name, value, last);
  };
  MFA_TRY(check_enum("desc->padding_mode", desc.padding_mode, MFA_PADDING_VALID));
  MFA_TRY(check_enum("desc->algorithm", desc.algorithm, MFA_ALGORITHM_WINOGRAD));
  MFA_TRY(check_enum("desc->activation", desc.activation, MFA_ACTIVATION_SILU));
  MFA_TRY(check_enum("desc->weights", desc.weights, MFA_WEIGHTS_WINOGRAD));
  MFA_TRY(check_enum("desc->bit_order", desc.bit_order, MFA_BITS_MSB_FIRST));
  host::Convolution problem = {};
  problem.type = desc.type ? desc.type : MFA_TYPE_HALF;
  MFA_TRY(check_float_type(problem.type, "desc->type"));
  problem.dimensions = desc.dimensions;
  problem.images = desc.N;
  problem.C = desc.C;
  problem.K = desc.K;
  problem.groups = or_default(desc.groups, 1);
  if (desc.C % problem.groups != 0 || desc.K % problem.groups != 0)
    return failure(Code::invalid_argument,
                   "desc->groups is %" PRIu64 ", expected a divisor of C = %" PRIu64
                   " and of K = %" PRIu64,
                   problem.groups, desc.C, desc.K);
  for (int d = 0; d < 3; ++d)
    problem.input[d] = problem.output[d] = problem.window[d] = problem.stride[d] =
        problem.dilation[d] = 1;
  int missing = 3 - (int)desc.dimensions;
  for (int d = 0; d < (int)desc.dimensions; ++d)
    MFA_TRY(set_dimension(d, d + missing, desc, problem));
  problem.activation = desc.activation;
  problem.algorithm = static_cast<host::Algorithm>(desc.algorithm);
  problem.transposed = desc.transposed;
  problem.bias = bias;
  problem.weights = static_cast<host::Weights>(desc.weights);
  bool palettized = desc.weights == MFA_WEIGHTS_PALETTIZED;
  if (palettized && (desc.palette_bits < 1 || desc.palette_bits > 8))
    return failure(Code::invalid_argument, "desc->palette_bits is %u, expected 1 to 8",
                   desc.palette_bits);
  if (!palettized && (desc.palette_bits || desc.palette_group || desc.bit_order))
    return failure(Code::invalid_argument,
                   "desc->palette_bits is %u but desc->weights is not MFA_WEIGHTS_PALETTIZED",
                   desc.palette_bits);
  problem.palette_bits = desc.palette_bits;
  problem.palette_group = desc.palette_group;
  problem.msb_first = desc.bit_order == MFA_BITS_MSB_FIRST;
  return problem;
}

namespace {

/// Bytes of a packed tensor; an overflow is as good as any number no buffer can have.
Status take(Operands& all, const char* name, const mfa_operand& given, uint64_t element, Use use,
            std::initializer_list<uint64_t> sizes, host::Operand& operand) {
  uint64_t count = 1;
  for (uint64_t size : sizes)
    if (size == 0) count = 0;
  for (uint64_t size : sizes)
    if (__builtin_mul_overflow(count, size, &count) || count > INT64_MAX)
      return failure(Code::invalid_argument, "%s is larger than any memory", name);
  Footprint footprint(element);
  if (!footprint.add(count, 1))
    return failure(Code::invalid_argument, "%s is larger than any memory", name);
  return all.take(name, given, footprint, element, use, operand);
}

/// Weights in whichever form they come, with their palettes.
Status take_weights(Operands& all, const mfa_convolution_operands& given,
                    const host::Convolution& c, host::ConvolutionOperands& taken) {
  uint64_t element = element_size(c.type), K = c.K;
  if (c.weights == host::Weights::winograd)
    return take(all, "weights", given.weights, c.type == MFA_TYPE_HALF ? 2 : 4, Use::read,
                {host::winograd_weight_bytes(c) / (c.type == MFA_TYPE_HALF ? 2 : 4)},
                taken.weights);
  if (c.weights == host::Weights::dense)
    return take(all, "weights", given.weights, element, Use::read,
                {K, c.window[0], c.window[1], c.window[2], c.C / c.groups}, taken.weights);
  uint64_t count = 1;
  for (uint64_t size : {K, c.window[0], c.window[1], c.window[2], c.C / c.groups})
    if (__builtin_mul_overflow(count, size, &count) || count > INT64_MAX / 8)
      return failure(Code::invalid_argument, "weights is larger than any memory");
  MFA_TRY(take(all, "weights", given.weights, 1, Use::read, {(count * c.palette_bits + 7) / 8},
               taken.weights));
  uint64_t palettes = c.palette_group ? (K + c.palette_group - 1) / c.palette_group : 1;
  return take(all, "palette", given.palette, element, Use::read,
              {count ? palettes : 0, uint64_t(1) << c.palette_bits}, taken.palette);
}

Status transform_weights(mfa_commands commands, const mfa_convolution_desc* desc,
                         const mfa_convolution_operands* operands) {
  Target target("mfa_convolution_weights");
  MFA_TRY(target.open(commands));
  mfa_convolution_operands given;
  MFA_TRY(MFA_READ(operands, given, mfa_convolution_operands));
  auto checked = problem_of(desc, false);
  if (!checked.ok()) return checked.status();
  if (checked->weights == host::Weights::winograd)
    return failure(Code::invalid_argument,
                   "desc->weights is MFA_WEIGHTS_WINOGRAD, expected what is to be transformed");
  Operands all(target.recent());
  host::ConvolutionOperands taken;
  MFA_TRY(take_weights(all, given, *checked, taken));
  uint64_t element = checked->type == MFA_TYPE_HALF ? 2 : 4;
  MFA_TRY(take(all, "result", given.result, element, Use::write,
               {host::winograd_weight_bytes(*checked) / element}, taken.result));
  return target.run(all,
                    [&](host::Commands& on) { return host::encode_weights(on, *checked, taken); });
}

Status convolution(mfa_commands commands, const mfa_convolution_desc* desc,
                   const mfa_convolution_operands* operands) {
  Target target("mfa_convolution");
  MFA_TRY(target.open(commands));
  mfa_convolution_operands given;
  MFA_TRY(MFA_READ(operands, given, mfa_convolution_operands));
  auto checked = problem_of(desc, given.bias.buffer != nullptr);
  if (!checked.ok()) return checked.status();
  const host::Convolution& c = *checked;
  // Without outputs nothing is read.
  bool any = c.images && c.K && c.output[0] && c.output[1] && c.output[2];
  uint64_t element = element_size(c.type), K = any ? c.K : 0, N = any ? c.images : 0;
  Operands all(target.recent());
  host::ConvolutionOperands taken;
  MFA_TRY(take(all, "data", given.data, element, Use::read,
               {N, c.input[0], c.input[1], c.input[2], c.C}, taken.data));
  if (any) MFA_TRY(take_weights(all, given, c, taken));
  if (c.bias) MFA_TRY(take(all, "bias", given.bias, element, Use::read, {K}, taken.bias));
  MFA_TRY(take(all, "result", given.result, element, Use::write,
               {c.images, c.output[0], c.output[1], c.output[2], c.K}, taken.result));
  return target.run(all, [&](host::Commands& on) { return host::encode(on, c, taken); });
}

Status weights_size(const mfa_convolution_desc* desc, uint64_t* bytes) {
  auto checked = problem_of(desc, false);
  if (!checked.ok()) return checked.status();
  MFA_TRY(require(bytes, "bytes"));
  *bytes = host::winograd_weight_bytes(*checked);
  return {};
}

Status output_sizes(const mfa_convolution_desc* desc, uint64_t* sizes) {
  auto checked = problem_of(desc, false);
  if (!checked.ok()) return checked.status();
  MFA_TRY(require(sizes, "sizes"));
  unsigned dimensions = checked->dimensions;
  for (unsigned d = 0; d < dimensions; ++d) sizes[d] = checked->output[d + 3 - dimensions];
  return {};
}

}  // namespace

}  // namespace mfa::api

using namespace mfa::api;

mfa_status mfa_convolution(mfa_commands commands, const mfa_convolution_desc* desc,
                           const mfa_convolution_operands* operands) {
  return call("mfa_convolution", [&] { return convolution(commands, desc, operands); });
}

mfa_status mfa_convolution_output_size(const mfa_convolution_desc* desc, uint64_t sizes[3]) {
  return call("mfa_convolution_output_size", [&] { return output_sizes(desc, sizes); });
}

mfa_status mfa_convolution_weights(mfa_commands commands, const mfa_convolution_desc* desc,
                                   const mfa_convolution_operands* operands) {
  return call("mfa_convolution_weights",
              [&] { return transform_weights(commands, desc, operands); });
}

mfa_status mfa_convolution_weights_size(const mfa_convolution_desc* desc, uint64_t* bytes) {
  return call("mfa_convolution_weights_size", [&] { return weights_size(desc, bytes); });
}
