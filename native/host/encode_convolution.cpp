// SPDX-License-Identifier: MIT
// A planned convolution with its operands -> dispatches in a Commands.
#include "host/compiled.h"
#include "host/encode.h"
#include "shared.h"

namespace mfa::host {

namespace {

const Operand& operand_of(Place::Of of, const ConvolutionOperands& operands,
                          const Operand& workspace) {
  switch (of) {
    case Place::Of::data:
      return operands.data ? operands.data : operands.result;  // bound but not read
    case Place::Of::weights:
      return operands.weights ? operands.weights : operands.result;
    case Place::Of::palette:
      return operands.palette;
    case Place::Of::bias:
      return operands.bias;
    case Place::Of::result:
      return operands.result;
    case Place::Of::workspace:
      break;
  }
  return workspace;
}

}  // namespace

static Status encode(Commands& commands, const Compiled& compiled,
                     const ConvolutionOperands& operands) {
  const Plan& plan = compiled.plan;
  Operand workspace;
  if (plan.workspace) {
    auto buffer = commands.workspace(plan.workspace);
    if (!buffer.ok()) return buffer.status();
    workspace.buffer = *buffer;
  }
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const Step& step = plan.steps[i];
    std::vector<Binding> bindings;
    for (const Place& place : step.places) {
      const Operand& operand = operand_of(place.of, operands, workspace);
      bindings.push_back({Binding::Kind::buffer, place.slot, operand.buffer.get(),
                          operand.offset + place.offset, nullptr, 0});
    }
    bindings.push_back({Binding::Kind::bytes, MFA_SLOT_PARAMETERS, nullptr, 0,
                        step.parameters.data(), step.parameters.size()});
    if (step.threadgroup_memory)
      bindings.push_back({Binding::Kind::threadgroup, MFA_SLOT_TILES, nullptr, 0, nullptr,
                          step.threadgroup_memory});
    Grid grid;
    for (int d = 0; d < 3; ++d) grid.size[d] = step.grid[d];
    grid.threads_per_threadgroup[0] = step.threads;
    MFA_TRY(commands.expect_work(step.work, seconds_per_command_buffer));
    commands.dispatch(compiled.pipelines[i], bindings.data(), bindings.size(), grid);
  }
  commands.count_operation();
  return {};
}

Status encode(Commands& commands, const Convolution& problem, const ConvolutionOperands& operands) {
  auto open = commands.encoder();
  if (!open.ok()) return open.status();
  auto compiled = commands.device()->plans().get(*commands.device(), problem);
  return compiled.ok() ? encode(commands, **compiled, operands) : compiled.status();
}

Status encode_weights(Commands& commands, const Convolution& problem,
                      const ConvolutionOperands& operands) {
  auto open = commands.encoder();
  if (!open.ok()) return open.status();
  Device& device = *commands.device();
  auto compiled = compile(device, plan_winograd_weights(device, problem));
  return compiled.ok() ? encode(commands, **compiled, operands) : compiled.status();
}

}  // namespace mfa::host
