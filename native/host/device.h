// SPDX-License-Identifier: MIT
// A Metal device with what this library keeps for it: its queue, pipelines and kernels.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "host/object.h"
#include "host/status.h"

namespace mfa::host {

class Library;
class PipelineCache;
class PlanCache;
class WorkspacePool;
struct TileTables;

enum class Backend { metal = 1, cpu = 2, reference = 3 };

class Device : public std::enable_shared_from_this<Device> {
 public:
  /// All devices, listed once; the first is the default.
  static const std::vector<std::shared_ptr<Device>>& all();
  /// By name; null or "default" is the first.
  static Outcome<std::shared_ptr<Device>> open(const char* name);
  /// The one of an id<MTLDevice>.
  static Outcome<std::shared_ptr<Device>> of_metal(void* metal);

  Device(Object metal, unsigned index);
  ~Device();

  Object metal;
  Object queue;
  std::string name, description;
  Backend backend = Backend::metal;
  uint32_t simd_width = 32, max_threads = 1024, workers = 0;
  uint64_t max_threadgroup_memory = 0, max_buffer_length = 0, page_size = 0;
  uint64_t cache_size = 8 << 20;  // what the device does not tell is taken to be this
  bool unified_memory = true;
  bool avx512() const { return description.find("avx512") != std::string::npos; }

  /// Rows that are tried before the built-in tuning tables; null: none. Once set they stay as long
  /// as the device, because plans point to them.
  const TileTables* tiles() const { return tiles_.load(std::memory_order_acquire); }
  void set_tiles(std::unique_ptr<TileTables> tables);
  /// What is wrong with the file that MFA_TILES names. Operations that need a tile give it.
  Status tiles_error;

  /// Pipelines of this product's kernels.
  PipelineCache& pipelines() { return *pipelines_; }
  PlanCache& plans() { return *plans_; }
  WorkspacePool& workspaces() { return *workspaces_; }

  /// Floating-point operations per second, as command buffers whose work was known have shown.
  double rate() const { return rate_.load(std::memory_order_relaxed); }
  void measured(double operations, double seconds);

  /// The library embedded at build time, opened on first use. Where sources are embedded, they are
  /// compiled then: the one that has the kernel, or all if it is empty.
  Outcome<std::shared_ptr<Library>> default_library(const std::string& kernel = "");

 private:
  void read_tiles();

  std::atomic<const TileTables*> tiles_{nullptr};
  std::unique_ptr<PipelineCache> pipelines_;
  std::unique_ptr<PlanCache> plans_;
  std::unique_ptr<WorkspacePool> workspaces_;
  std::atomic<double> rate_;
  struct Default;
  std::unique_ptr<Default> default_;
};

}  // namespace mfa::host
