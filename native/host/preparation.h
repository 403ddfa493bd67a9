// SPDX-License-Identifier: MIT
// Kernel descriptors -> pipelines, a few at a time, with news of how far it is.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "host/device.h"
#include "host/kernel.h"

namespace mfa::host {

/// So many of so many are ready. False: nothing more is to be begun.
using Progress = std::function<bool(size_t done, size_t count)>;

/// Compiles those that are not there yet. `ended` is called once, on a thread of the library: with
/// the first failure, or Code::cancelled if something was not begun.
void prepare(const std::shared_ptr<Device>& device, std::vector<KernelDescriptor> kernels,
             Progress progress, std::function<void(const Status&)> ended);

}  // namespace mfa::host
