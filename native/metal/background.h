// SPDX-License-Identifier: MIT
// Work that an asynchronous call leaves behind, e.g. compiling a pipeline.
#pragma once

#include <functional>

namespace mfa::metal {

/// Runs the task on one of as many threads as there are CPUs; on the caller's if there is none.
void run_in_background(std::function<void()> task);

/// Runs the task on the thread of shared event listeners: one after the other, in order.
void run_for_listeners(std::function<void()> task);

}  // namespace mfa::metal
