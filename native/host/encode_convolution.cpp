// SPDX-License-Identifier: MIT
// A planned convolution with its operands -> dispatches in a Commands.
#include "host/encode.h"
#include "host/pipelines.h"
#include "host/plan.h"
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

static Status encode_plan(Commands& commands, const Outcome<Plan>& planned,
                          const ConvolutionOperands& operands) {
  auto open = commands.encoder();
  if (!open.ok()) return open.status();
  if (!planned.ok()) return planned.status();
  // Compiles first, so that a failure leaves the commands as they were.
  std::vector<void*> pipelines;
  for (const Step& step : planned->steps) {
    auto pipeline = commands.device()->pipelines().get(step.kernel);
    if (!pipeline.ok()) return pipeline.status();
    pipelines.push_back(*pipeline);
  }
  Operand workspace;
  if (planned->workspace) {
    auto buffer = commands.workspace(planned->workspace);
    if (!buffer.ok()) return buffer.status();
    workspace.buffer = *buffer;
  }
  for (size_t i = 0; i < planned->steps.size(); ++i) {
    const Step& step = planned->steps[i];
    std::vector<Binding> bindings;
    for (const Place& place : step.places) {
      const Operand& operand = operand_of(place.of, operands, workspace);
      bindings.push_back({Binding::Kind::buffer, place.slot, operand.buffer,
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
    commands.dispatch(pipelines[i], bindings.data(), bindings.size(), grid);
  }
  commands.count_operation();
  return {};
}

Status encode(Commands& commands, const Convolution& problem, const ConvolutionOperands& operands) {
  return encode_plan(commands, plan(*commands.device(), problem), operands);
}

Status encode_weights(Commands& commands, const Convolution& problem,
                      const ConvolutionOperands& operands) {
  return encode_plan(commands, plan_winograd_weights(*commands.device(), problem), operands);
}

}  // namespace mfa::host
