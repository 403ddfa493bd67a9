// SPDX-License-Identifier: MIT
// Problems -> plans with pipelines, found again when the same problem comes again.
#include "host/compiled.h"

#include "host/pipelines.h"

namespace mfa::host {

Outcome<std::shared_ptr<const Compiled>> compile(Device& device, Outcome<Plan> plan) {
  if (!plan.ok()) return plan.status();
  auto compiled = std::make_shared<Compiled>();
  compiled->plan = std::move(*plan);
  for (const Step& step : compiled->plan.steps) {
    auto pipeline = device.pipelines().get(step.kernel);
    if (!pipeline.ok()) return pipeline.status();
    compiled->pipelines.push_back(*pipeline);
  }
  return std::shared_ptr<const Compiled>(std::move(compiled));
}

uint64_t PlanCache::hash(const void* bytes, size_t size) {
  // FNV-1a, a word at a time.
  uint64_t hash = 0xcbf29ce484222325, word = 0;
  const auto* from = static_cast<const unsigned char*>(bytes);
  for (; size >= sizeof word; size -= sizeof word, from += sizeof word) {
    memcpy(&word, from, sizeof word);
    hash = (hash ^ word) * 0x100000001b3;
    hash ^= hash >> 32;
  }
  word = 0;
  memcpy(&word, from, size);
  hash = (hash ^ word) * 0x100000001b3;
  return hash ^ hash >> 32;
}

}  // namespace mfa::host
