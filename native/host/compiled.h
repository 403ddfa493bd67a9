// SPDX-License-Identifier: MIT
// Problems -> plans with pipelines, found again when the same problem comes again.
#pragma once

#include <cstring>
#include <memory>
#include <mutex>
#include <tuple>
#include <type_traits>
#include <vector>

#include "base/light_lock.h"
#include "host/plan.h"

namespace mfa::host {

/// What encoding a problem takes, but for the operands.
struct Compiled {
  Plan plan;
  std::vector<void*> pipelines;  // one per step, valid as long as the device
};

/// A plan with its pipelines, which are compiled if they are not yet.
Outcome<std::shared_ptr<const Compiled>> compile(Device& device, Outcome<Plan> plan);

/// Plans of late. The layers of a network come again with every token, and to plan one takes longer
/// than to encode it.
class PlanCache {
 public:
  /// The problem's plan and pipelines, made now if they are not known.
  template <class Problem>
  Outcome<std::shared_ptr<const Compiled>> get(Device& device, const Problem& problem) {
    Latest<Problem>& latest = std::get<Latest<Problem>>(all_);
    const TileTables* tiles = device.tiles();
    if (auto known = latest.find(problem, tiles)) return known;
    auto compiled = compile(device, plan(device, problem));
    if (compiled.ok()) latest.keep(problem, tiles, *compiled);
    return compiled;
  }

 private:
  static uint64_t hash(const void* bytes, size_t size);

  /// A problem has one place, which it takes from the one before.
  template <class Problem>
  class Latest {
   public:
    std::shared_ptr<const Compiled> find(const Problem& problem, const TileTables* tiles) {
      const size_t place = hash(&problem, sizeof problem) % places;
      std::lock_guard lock(lock_);
      if (!entries_) return nullptr;
      const Entry& entry = entries_[place];
      if (!entry.compiled || entry.tiles != tiles) return nullptr;
      // Bytes: problems that differ in nothing but padding are planned again, and equally.
      const void *mine = &entry.problem, *given = &problem;
      return memcmp(mine, given, sizeof problem) == 0 ? entry.compiled : nullptr;
    }

    void keep(const Problem& problem, const TileTables* tiles,
              std::shared_ptr<const Compiled> compiled) {
      if (compiled->plan.steps.size() > most_steps) return;
      const size_t place = hash(&problem, sizeof problem) % places;
      std::lock_guard lock(lock_);
      if (!entries_) entries_ = std::make_unique<Entry[]>(places);
      Entry& entry = entries_[place];
      memcpy(static_cast<void*>(&entry.problem), &problem, sizeof problem);
      entry.tiles = tiles;
      entry.compiled.swap(compiled);  // the one before goes when nothing is locked
    }

   private:
    static constexpr size_t places = 128, most_steps = 16;  // at most some megabytes
    static_assert(std::is_trivially_copyable_v<Problem>);
    struct Entry {
      Problem problem;
      const TileTables* tiles;
      std::shared_ptr<const Compiled> compiled;
    };
    LightLock lock_;
    std::unique_ptr<Entry[]> entries_;
  };

  std::tuple<Latest<Gemm>, Latest<Qgemm>, Latest<Attention>, Latest<AttentionBackward>,
             Latest<Decode>, Latest<Merge>, Latest<Cast>, Latest<Convolution>>
      all_;
};

}  // namespace mfa::host
