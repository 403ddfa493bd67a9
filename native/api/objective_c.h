// SPDX-License-Identifier: MIT
// The part of the exception guard that has to be Objective-C.
#pragma once

#include "host/status.h"

namespace mfa::api {

/// Calls `body(context)`; an Objective-C exception becomes a Status, a C++ one passes through.
host::Status guarded_objective_c(host::Status (*body)(void*), void* context);

}  // namespace mfa::api
