// SPDX-License-Identifier: MIT
// mfa_prepare, mfa_supported, mfa_explain: problems without operands.
#include <condition_variable>

#include "api/handles.h"
#include "api/problems.h"
#include "api/structs.h"
#include "host/callbacks.h"
#include "host/pipelines.h"
#include "host/plan.h"
#include "host/preparation.h"
#include "host/tuning.h"

namespace mfa::api {

namespace {

/// Checks the descriptor of a problem, then plans it. What the host cannot do is `unsupported`;
/// everything else is wrong with the descriptor.
Outcome<host::Plan> plan_of(const host::Device& device, const mfa_problem* given) {
  mfa_problem problem;
  MFA_TRY(read_struct(given, problem, sizeof(mfa_problem), "problem", "mfa_problem"));
  auto plan_gemm = [&](uint32_t type) -> Outcome<host::Plan> {
    auto checked =
        problem_of(static_cast<const mfa_gemm_desc*>(problem.desc), type, problem.has_bias);
    if (!checked.ok()) return checked.status();
    return host::plan(device, *checked);
  };
  switch (problem.operation) {
    case MFA_OPERATION_HGEMM:
      return plan_gemm(MFA_TYPE_HALF);
    case MFA_OPERATION_SGEMM:
      return plan_gemm(MFA_TYPE_FLOAT);
    case MFA_OPERATION_BGEMM:
      return plan_gemm(MFA_TYPE_BFLOAT);
    case MFA_OPERATION_ATTENTION: {
      auto checked =
          problem_of(static_cast<const mfa_attention_desc*>(problem.desc), problem.has_lse);
      if (!checked.ok()) return checked.status();
      return host::plan(device, *checked);
    }
    case MFA_OPERATION_QGEMM: {
      auto checked = problem_of(static_cast<const mfa_qgemm_desc*>(problem.desc), problem.has_bias);
      if (!checked.ok()) return checked.status();
      return host::plan(device, *checked);
    }
    case MFA_OPERATION_CONVOLUTION: {
      auto checked =
          problem_of(static_cast<const mfa_convolution_desc*>(problem.desc), problem.has_bias);
      if (!checked.ok()) return checked.status();
      return host::plan(device, *checked);
    }
    case MFA_OPERATION_CONVOLUTION_WEIGHTS: {
      auto checked = problem_of(static_cast<const mfa_convolution_desc*>(problem.desc), false);
      if (!checked.ok()) return checked.status();
      return host::plan_winograd_weights(device, *checked);
    }
    case MFA_OPERATION_ATTENTION_BACKWARD: {
      auto checked = problem_of(static_cast<const mfa_attention_backward_desc*>(problem.desc),
                                problem.has_bias);
      if (!checked.ok()) return checked.status();
      checked->has_dq = !problem.without_dq;
      checked->has_dk = !problem.without_dk;
      checked->has_dv = !problem.without_dv;
      return host::plan(device, *checked);
    }
    case MFA_OPERATION_DECODE: {
      auto checked = problem_of(static_cast<const mfa_decode_desc*>(problem.desc), problem.has_lse);
      if (!checked.ok()) return checked.status();
      return host::plan(device, *checked);
    }
    case MFA_OPERATION_MERGE: {
      auto checked = problem_of(static_cast<const mfa_merge_desc*>(problem.desc), problem.has_lse);
      if (!checked.ok()) return checked.status();
      return host::plan(device, *checked);
    }
    case MFA_OPERATION_CAST: {
      auto checked = problem_of(static_cast<const mfa_cast_desc*>(problem.desc));
      if (!checked.ok()) return checked.status();
      return host::plan(device, *checked);
    }
  }
  return failure(Code::invalid_argument, "problem->operation is %u, expected MFA_OPERATION_*",
                 static_cast<unsigned>(problem.operation));
}

/// Waits for the end of a preparation.
struct End {
  std::mutex mutex;
  std::condition_variable changed;
  bool reached = false;
  Status status;
};

Status prepare(mfa_device handle, const mfa_problem* problems, size_t count,
               const mfa_prepare_options* given) {
  auto on = use(handle, "device");
  if (!on.ok()) return on.status();
  mfa_prepare_options options = {};
  if (given) MFA_TRY(read_struct(given, options, sizeof options, "options", "mfa_prepare_options"));
  if (count != 0) MFA_TRY(require(problems, "problems"));
  std::vector<host::KernelDescriptor> kernels;
  const char* at = reinterpret_cast<const char*>(problems);
  for (size_t i = 0; i < count; ++i, at += problems->size) {
    auto planned = plan_of(**on, reinterpret_cast<const mfa_problem*>(at));
    if (!planned.ok())
      return {planned.status().code,
              "problems[" + std::to_string(i) + "]: " + planned.status().message};
    for (const host::Step& step : planned->steps) kernels.push_back(step.kernel);
  }

  host::Progress progress;
  if (options.progress)
    progress = [options](size_t done, size_t all) {
      return options.progress(options.context, done, all);
    };
  if (options.completed) {
    host::prepare(*on, std::move(kernels), progress, [options](const Status& status) {
      host::call_back([options, status] {
        options.completed(options.context, static_cast<mfa_status>(status.code),
                          status.message.c_str());
      });
    });
    return {};
  }
  auto end = std::make_shared<End>();
  host::prepare(*on, std::move(kernels), progress, [end](const Status& status) {
    std::lock_guard lock(end->mutex);
    end->status = status;
    end->reached = true;
    end->changed.notify_all();
  });
  std::unique_lock lock(end->mutex);
  end->changed.wait(lock, [&] { return end->reached; });
  return end->status;
}

Status supported(mfa_device handle, const mfa_problem* problem, bool* result, const char** reason) {
  static thread_local std::string why;
  auto on = use(handle, "device");
  if (!on.ok()) return on.status();
  MFA_TRY(require(result, "supported"));
  auto planned = plan_of(**on, problem);
  if (!planned.ok() && planned.status().code != Code::unsupported) return planned.status();
  *result = planned.ok();
  why = planned.ok() ? "" : planned.status().message;
  if (reason) *reason = why.c_str();
  return {};
}

Status explain(mfa_device handle, const mfa_problem* problem, mfa_explanation* explanation) {
  static thread_local std::string kernel, variant, reason;
  auto on = use(handle, "device");
  if (!on.ok()) return on.status();
  auto planned = plan_of(**on, problem);
  if (!planned.ok()) return planned.status();
  mfa_explanation filled = {};
  kernel = variant = "";
  reason = planned->gemm_tile        ? host::why(*planned->gemm_tile)
           : planned->attention_tile ? host::why(*planned->attention_tile)
                                     : planned->reason;
  filled.cached = true;
  if (!planned->steps.empty()) {
    // Steps before the operation itself only prepare, those after it only gather.
    const host::Step& step = planned->steps[planned->steps.size() - 1 - planned->after];
    kernel = step.kernel.function();
    variant = step.kernel.text();
    filled.threads_per_threadgroup = step.threads;
    for (int i = 0; i < 3; ++i) filled.threadgroups[i] = step.grid[i];
    filled.threadgroup_memory = step.threadgroup_memory;
  }
  for (const host::Step& step : planned->steps)
    filled.cached = filled.cached && (*on)->pipelines().has(step.kernel);
  for (int i = 0; i < 3; ++i) filled.tile[i] = planned->tile[i];
  filled.workspace = planned->workspace;
  filled.dispatches = static_cast<uint32_t>(planned->steps.size());
  filled.command_buffers = host::command_buffers(**on, *planned);
  for (int i = 0; i < 2; ++i) {
    filled.blocks[i] = planned->blocks[i];
    filled.block_sizes[i] = planned->block_sizes[i];
  }
  filled.kernel = kernel.c_str();
  filled.variant = variant.c_str();
  filled.reason = reason.c_str();
  return MFA_WRITE(explanation, filled, mfa_explanation);
}

}  // namespace

}  // namespace mfa::api

using namespace mfa::api;

mfa_status mfa_prepare(mfa_device device, const mfa_problem* problems, size_t count,
                       const mfa_prepare_options* options) {
  return call("mfa_prepare", [&] { return prepare(device, problems, count, options); });
}

mfa_status mfa_supported(mfa_device device, const mfa_problem* problem, bool* result,
                         const char** reason) {
  return call("mfa_supported", [&] { return supported(device, problem, result, reason); });
}

mfa_status mfa_explain(mfa_device device, const mfa_problem* problem,
                       mfa_explanation* explanation) {
  return call("mfa_explain", [&] { return explain(device, problem, explanation); });
}
