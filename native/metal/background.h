// SPDX-License-Identifier: MIT
// Threads, and the work that an asynchronous call leaves to them, e.g. compiling a pipeline.
#pragma once

#include <functional>

namespace mfa::metal {

/// Starts a thread that nobody joins and that takes no signals: those are the host program's. False
/// if there is none to be had.
bool start_thread(std::function<void()> body);

/// Runs the task on one of as many threads as there are CPUs; on the caller's if there is none.
void run_in_background(std::function<void()> task);

/// Runs the task on the thread of shared event listeners: one after the other, in order.
void run_for_listeners(std::function<void()> task);

}  // namespace mfa::metal
