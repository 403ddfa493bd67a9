// SPDX-License-Identifier: MIT
// A conversion between element types -> one dispatch of cast.
#include <algorithm>

#include "host/plan.h"
#include "host/tuning.h"
#include "shared.h"

namespace mfa::host {

namespace {

constexpr uint32_t threads = 256;

}  // namespace

Outcome<Plan> plan(const Device& device, const Cast& problem) {
  Plan plan;
  if (problem.count == 0 || problem.rows == 0) return plan;
  uint32_t used = std::min(threads, device.max_threads);
  uint64_t part = uint64_t(used) * MFA_CAST_PER_THREAD;
  uint64_t parts = round_up(problem.count, part) / part;
  if (parts > UINT32_MAX || problem.rows > UINT32_MAX)
    return failure(Code::unsupported, "%llu x %llu elements are too many for one cast",
                   (unsigned long long)problem.rows, (unsigned long long)problem.count);

  mfa_cast_parameters parameters = {problem.count, problem.source_stride,
                                    problem.destination_stride};
  KernelDescriptor kernel("cast");
  kernel.set("input_type", MFA_CONSTANT_DATA_TYPE, problem.source_type);
  kernel.set("output_type", MFA_CONSTANT_OUTPUT_TYPE, problem.destination_type);
  plan.reason = "one element per thread and step";
  plan.tile[0] = 1;
  plan.tile[1] = (uint32_t)part;
  plan.tile[2] = 1;
  plan.steps.push_back({kernel,
                        {reinterpret_cast<const char*>(&parameters), sizeof parameters},
                        {parts, problem.rows, 1},
                        used,
                        0});
  return plan;
}

}  // namespace mfa::host
