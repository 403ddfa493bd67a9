// SPDX-License-Identifier: MIT
// Kernel descriptors -> pipelines: as many at a time as there are threads to compile them.
#include "host/preparation.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <thread>
#include <unordered_set>
#include <utility>

#include "host/pipelines.h"

namespace mfa::host {
namespace {

// Functions in the order of how long they take to compile; of one function, variants with larger
// blocks take longer. One of the longest, begun last, would keep its thread busy when the others
// have nothing left to do.
constexpr const char* longest_first[] = {"attention", "decode", "convolution", "qgemm", "bgemm",
                                         "hgemm",     "sgemm",  "merge",       "cast"};

class Preparation : public std::enable_shared_from_this<Preparation> {
 public:
  Preparation(const std::shared_ptr<Device>& device, std::vector<KernelDescriptor> kernels,
              Progress progress, std::function<void(const Status&)> ended)
      : device_(device),
        kernels_(std::move(kernels)),
        progress_(std::move(progress)),
        ended_(std::move(ended)) {}

  /// Begins as many as may be under way. Metal has no way to call a compilation off: what is not
  /// to be begun must not have been asked for.
  void feed() {
    const size_t most = std::max(2u, std::thread::hardware_concurrency());
    {
      // What is ready already ends inside of prepare(): this loop goes on, without recursion.
      std::lock_guard lock(mutex_);
      if (feeding_) return;
      feeding_ = true;
    }
    for (;;) {
      const KernelDescriptor* next = nullptr;
      {
        std::lock_guard lock(mutex_);
        if (cancelled_ || begun_ == kernels_.size() || begun_ - done_ >= most) {
          feeding_ = false;
          break;
        }
        next = &kernels_[begun_++];
      }
      device_->pipelines().prepare(
          *next, [self = shared_from_this()](const Status& status) { self->one_done(status); });
    }
    end_once();
  }

 private:
  void one_done(const Status& status) {
    {
      // Held while the caller is told, so that the numbers it hears only grow.
      std::lock_guard told(telling_);
      size_t done;
      {
        std::lock_guard lock(mutex_);
        done = ++told_;
        if (first_.ok() && !status.ok()) first_ = status;
      }
      if (progress_ && !progress_(done, kernels_.size())) {
        std::lock_guard lock(mutex_);
        cancelled_ = true;
      }
    }
    {
      std::lock_guard lock(mutex_);
      ++done_;
    }
    feed();
  }

  void end_once() {
    Status status;
    {
      std::lock_guard lock(mutex_);
      const bool over = done_ == begun_ && (cancelled_ || begun_ == kernels_.size());
      if (!over || over_) return;
      over_ = true;
      status = first_;
      if (status.ok() && begun_ < kernels_.size())
        status = failure(Code::cancelled, "cancelled after %zu of %zu pipelines", done_,
                         kernels_.size());
    }
    ended_(status);
  }

  const std::shared_ptr<Device> device_;
  const std::vector<KernelDescriptor> kernels_;
  const Progress progress_;
  const std::function<void(const Status&)> ended_;
  std::mutex telling_, mutex_;
  size_t begun_ = 0, told_ = 0, done_ = 0;
  bool feeding_ = false, cancelled_ = false, over_ = false;
  Status first_;
};

}  // namespace

void prepare(const std::shared_ptr<Device>& device, std::vector<KernelDescriptor> kernels,
             Progress progress, std::function<void(const Status&)> ended) {
  // Many problems share a kernel; each counts once.
  std::unordered_set<KernelDescriptor, KernelHash> seen;
  std::vector<KernelDescriptor> distinct;
  for (const char* function : longest_first) {
    const size_t first = distinct.size();
    for (const KernelDescriptor& kernel : kernels)
      if (strcmp(kernel.function(), function) == 0 && seen.insert(kernel).second)
        distinct.push_back(kernel);
    std::sort(distinct.begin() + (ptrdiff_t)first, distinct.end(),
              [](const KernelDescriptor& a, const KernelDescriptor& b) {
                return a.block_volume() > b.block_volume();
              });
  }
  std::make_shared<Preparation>(device, std::move(distinct), std::move(progress), std::move(ended))
      ->feed();
}

}  // namespace mfa::host
