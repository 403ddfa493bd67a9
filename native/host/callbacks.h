// SPDX-License-Identifier: MIT
// The caller's functions -> called one after the other, on a thread that no work depends on.
//
// A function may therefore encode, commit and wait: whatever it waits for goes on.
#pragma once

#include <functional>

namespace mfa::host {

/// Calls the function later, after those given before.
void call_back(std::function<void()> function);
/// Is this thread running such a function?
bool in_callback();

}  // namespace mfa::host
