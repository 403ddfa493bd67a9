// SPDX-License-Identifier: MIT
// Planned problems with their operands -> dispatches in a Commands.
#include "host/encode.h"

#include <cstring>

#include "host/compiled.h"
#include "shared.h"

namespace mfa::host {

namespace {

/// The bindings of one dispatch; absent operands are left out.
class Bindings {
 public:
  void add(uint32_t slot, const Operand& operand) {
    if (operand)
      list_[count_++] = {Binding::Kind::buffer, slot,    operand.buffer.get(),
                         operand.offset,        nullptr, 0};
  }
  void add(uint32_t slot, const std::string& bytes) {
    list_[count_++] = {Binding::Kind::bytes, slot, nullptr, 0, bytes.data(), bytes.size()};
  }
  void add_threadgroup(uint32_t slot, uint64_t length) {
    if (length) list_[count_++] = {Binding::Kind::threadgroup, slot, nullptr, 0, nullptr, length};
  }
  const Binding* data() const { return list_; }
  size_t size() const { return count_; }

 private:
  Binding list_[24];
  size_t count_ = 0;
};

/// Plans and compiles first, so that a failure leaves the commands as they were. What it gives is
/// valid until the next call.
template <class Problem>
Outcome<const Compiled*> compile(Commands& commands, const Problem& problem) {
  static const char kind = 0;
  auto open = commands.encoder();
  if (!open.ok()) return open.status();
  Device& device = *commands.device();
  Commands::LatestPlan& latest = commands.latest_plan();
  static_assert(sizeof problem <= sizeof latest.problem);
  // Bytes, as in PlanCache.
  const void* given = &problem;
  if (latest.kind == &kind && latest.tiles == device.tiles() &&
      memcmp(latest.problem, given, sizeof problem) == 0)
    return latest.compiled.get();
  auto found = device.plans().get(device, problem);
  if (!found.ok()) return found.status();
  latest.kind = &kind;
  latest.tiles = device.tiles();
  latest.compiled = std::move(*found);
  memcpy(latest.problem, given, sizeof problem);
  return latest.compiled.get();
}

/// What the device keeps of such memory; more goes back to the system after each use.
constexpr uint64_t most_kept = 16 << 20;

/// Memory for what the steps of one operation hand on.
Outcome<std::shared_ptr<Buffer>> workspace(Commands& commands, uint64_t bytes) {
  // A concurrent encoder's next operation would have to wait for memory that both use.
  if (commands.concurrent() || bytes > most_kept)
    return Buffer::make(commands.device(), bytes, Storage::private_);
  return commands.workspace(bytes);
}

void dispatch(Commands& commands, const Step& step, void* pipeline, Bindings& bindings) {
  bindings.add(MFA_SLOT_PARAMETERS, step.parameters);
  if (!step.backward.empty()) bindings.add(MFA_SLOT_BACKWARD_PARAMETERS, step.backward);
  bindings.add_threadgroup(MFA_SLOT_TILES, step.threadgroup_memory);
  Grid grid;
  for (int i = 0; i < 3; ++i) grid.size[i] = step.grid[i];
  grid.threads_per_threadgroup[0] = step.threads;
  commands.dispatch(pipeline, bindings.data(), bindings.size(), grid);
}

}  // namespace

Status encode(Commands& commands, const Gemm& problem, const GemmOperands& operands) {
  auto found = compile(commands, problem);
  if (!found.ok()) return found.status();
  const Compiled& compiled = **found;
  for (const Step& step : compiled.plan.steps) {
    Bindings bindings;
    const bool swapped = compiled.plan.swapped;
    // K = 0: bound but not read.
    bindings.add(swapped ? MFA_SLOT_B : MFA_SLOT_A, operands.a ? operands.a : operands.c);
    bindings.add(swapped ? MFA_SLOT_A : MFA_SLOT_B, operands.b ? operands.b : operands.c);
    bindings.add(MFA_SLOT_C, operands.c);
    bindings.add(MFA_SLOT_BIAS, operands.bias);
    dispatch(commands, step, compiled.pipelines[0], bindings);
  }
  commands.count_operation();
  return {};
}

Status encode(Commands& commands, const Qgemm& problem, const QgemmOperands& operands) {
  auto found = compile(commands, problem);
  if (!found.ok()) return found.status();
  const Compiled& compiled = **found;
  auto or_output = [&](const Operand& operand) { return operand ? operand : operands.c; };
  for (const Step& step : compiled.plan.steps) {
    Bindings bindings;  // K = 0: bound but not read
    bindings.add(MFA_SLOT_A, or_output(operands.a));
    bindings.add(MFA_SLOT_B, or_output(operands.b));
    bindings.add(MFA_SLOT_C, operands.c);
    bindings.add(MFA_SLOT_BIAS, operands.bias);
    bindings.add(MFA_SLOT_SCALES, or_output(operands.scales));
    if (problem.quantization == MFA_QUANTIZATION_AFFINE)
      bindings.add(MFA_SLOT_ZERO_POINTS, or_output(operands.zero_points));
    dispatch(commands, step, compiled.pipelines[0], bindings);
  }
  commands.count_operation();
  return {};
}

Status encode(Commands& commands, const Attention& problem, const AttentionOperands& operands) {
  if (auto decode = as_decode(*commands.device(), problem)) {
    DecodeOperands few = {};
    few.q = operands.q;
    few.k = operands.k;
    few.v = operands.v;
    few.o = operands.o;
    few.mask = operands.mask;
    few.lse = operands.lse;
    few.bias = operands.bias;
    few.slopes = operands.slopes;
    few.sinks = operands.sinks;
    return encode(commands, *decode, few);
  }
  auto found = compile(commands, problem);
  if (!found.ok()) return found.status();
  const Compiled& compiled = **found;
  const Plan& plan = compiled.plan;
  Operand blocks;
  if (plan.workspace) {
    auto buffer = workspace(commands, plan.workspace);
    if (!buffer.ok()) return buffer.status();
    blocks.buffer = *buffer;
  }
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    Bindings bindings;
    bool forward = i + 1 == plan.steps.size();
    if (forward) {
      bindings.add(MFA_SLOT_Q, operands.q);
      bindings.add(MFA_SLOT_K, operands.k ? operands.k : operands.o);  // C = 0: bound but not read
      bindings.add(MFA_SLOT_V, operands.v ? operands.v : operands.o);
      bindings.add(MFA_SLOT_O, operands.o);
      bindings.add(MFA_SLOT_LSE, operands.lse);
    }
    bindings.add(MFA_SLOT_MASK, operands.mask);
    bindings.add(MFA_SLOT_SCORE_BIAS, operands.bias);
    bindings.add(MFA_SLOT_SLOPES, operands.slopes);
    if (forward) bindings.add(MFA_SLOT_SINKS, operands.sinks);
    bindings.add(MFA_SLOT_ROW_STARTS, operands.row_starts);
    bindings.add(MFA_SLOT_COLUMN_STARTS, operands.column_starts);
    bindings.add(MFA_SLOT_BLOCK_MASK, blocks);
    dispatch(commands, plan.steps[i], compiled.pipelines[i], bindings);
  }
  commands.count_operation();
  return {};
}

Status encode(Commands& commands, const AttentionBackward& problem,
              const AttentionBackwardOperands& operands) {
  auto found = compile(commands, problem);
  if (!found.ok()) return found.status();
  const Compiled& compiled = **found;
  const Plan& plan = compiled.plan;
  Operand summaries, sums, dq_sums;
  if (plan.workspace) {
    auto buffer = workspace(commands, plan.workspace);
    if (!buffer.ok()) return buffer.status();
    summaries = {*buffer, 0};
    sums = {*buffer, plan.backward.sums};
    dq_sums = {*buffer, plan.backward.dq_sums};
  }
  // What has no elements is bound but not read.
  const AttentionOperands& forward = operands.forward;
  const Operand& any = operands.dq   ? operands.dq
                       : operands.dk ? operands.dk
                       : operands.dv ? operands.dv
                                     : operands.dbias;
  auto present = [&any](const Operand& operand) { return operand ? operand : any; };
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    Bindings bindings;
    bindings.add(MFA_SLOT_Q, present(forward.q));
    bindings.add(MFA_SLOT_K, present(forward.k));
    bindings.add(MFA_SLOT_V, present(forward.v));
    bindings.add(MFA_SLOT_O, present(forward.o));
    bindings.add(MFA_SLOT_LSE, present(forward.lse));
    bindings.add(MFA_SLOT_MASK, forward.mask);
    bindings.add(MFA_SLOT_SCORE_BIAS, forward.bias);
    bindings.add(MFA_SLOT_SLOPES, forward.slopes);
    bindings.add(MFA_SLOT_ROW_STARTS, forward.row_starts);
    bindings.add(MFA_SLOT_COLUMN_STARTS, forward.column_starts);
    bindings.add(MFA_SLOT_BLOCK_MASK, present(summaries));
    bindings.add(MFA_SLOT_DO, present(operands.d_o));
    bindings.add(MFA_SLOT_DQ, operands.dq);
    bindings.add(MFA_SLOT_DK, operands.dk);
    bindings.add(MFA_SLOT_DV, operands.dv);
    bindings.add(MFA_SLOT_DB, operands.dbias);
    bindings.add(MFA_SLOT_SUMS, present(sums));
    bindings.add(MFA_SLOT_DQ_SUMS, dq_sums);
    dispatch(commands, plan.steps[i], compiled.pipelines[i], bindings);
  }
  commands.count_operation();
  return {};
}

Status encode(Commands& commands, const Decode& problem, const DecodeOperands& operands) {
  auto found = compile(commands, problem);
  if (!found.ok()) return found.status();
  const Compiled& compiled = **found;
  const Plan& plan = compiled.plan;
  Operand parts;
  if (plan.workspace) {
    auto buffer = workspace(commands, plan.workspace);
    if (!buffer.ok()) return buffer.status();
    parts.buffer = *buffer;
  }
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    Bindings bindings;
    bool merges = i == 1;
    if (!merges) {
      // C = 0: bound but not read.
      auto or_any = [&](const Operand& operand) { return operand ? operand : operands.o; };
      bindings.add(MFA_SLOT_Q, operands.q);
      bindings.add(MFA_SLOT_K, or_any(operands.k));
      bindings.add(MFA_SLOT_V, or_any(operands.v));
      if (problem.bits) {
        bindings.add(MFA_SLOT_K_SCALES, or_any(operands.k_scales));
        bindings.add(MFA_SLOT_K_BIASES, or_any(operands.k_biases));
        bindings.add(MFA_SLOT_V_SCALES, or_any(operands.v_scales));
        bindings.add(MFA_SLOT_V_BIASES, or_any(operands.v_biases));
      }
      if (problem.page_size) bindings.add(MFA_SLOT_TABLE, or_any(operands.table));
      bindings.add(MFA_SLOT_MASK, operands.mask);
      bindings.add(MFA_SLOT_SCORE_BIAS, operands.bias);
      bindings.add(MFA_SLOT_SLOPES, operands.slopes);
      bindings.add(MFA_SLOT_SINKS, operands.sinks);
      bindings.add(MFA_SLOT_LENGTHS, operands.lengths);
    }
    if (merges || !parts) {
      bindings.add(MFA_SLOT_O, operands.o);
      bindings.add(MFA_SLOT_LSE, operands.lse);
    }
    bindings.add(MFA_SLOT_PARTIALS, parts);
    dispatch(commands, plan.steps[i], compiled.pipelines[i], bindings);
  }
  commands.count_operation();
  return {};
}

Status encode(Commands& commands, const Merge& problem, const MergeOperands& operands) {
  auto found = compile(commands, problem);
  if (!found.ok()) return found.status();
  const Compiled& compiled = **found;
  for (const Step& step : compiled.plan.steps) {
    Bindings bindings;
    bindings.add(MFA_SLOT_FIRST, operands.first);
    bindings.add(MFA_SLOT_FIRST_LSE, operands.first_lse);
    bindings.add(MFA_SLOT_SECOND, operands.second);
    bindings.add(MFA_SLOT_SECOND_LSE, operands.second_lse);
    bindings.add(MFA_SLOT_O, operands.o);
    bindings.add(MFA_SLOT_LSE, operands.lse);
    dispatch(commands, step, compiled.pipelines[0], bindings);
  }
  commands.count_operation();
  return {};
}

Status encode(Commands& commands, const Cast& problem, const CastOperands& operands) {
  auto found = compile(commands, problem);
  if (!found.ok()) return found.status();
  const Compiled& compiled = **found;
  for (const Step& step : compiled.plan.steps) {
    Bindings bindings;
    bindings.add(MFA_SLOT_INPUT, operands.source);
    bindings.add(MFA_SLOT_OUTPUT, operands.destination);
    dispatch(commands, step, compiled.pipelines[0], bindings);
  }
  commands.count_operation();
  return {};
}

}  // namespace mfa::host
