// SPDX-License-Identifier: MIT
// The body of an exported function -> mfa_status; its message -> mfa_last_error().
#pragma once

#include <string>

#include "host/status.h"
#include "mfa.h"

namespace mfa::api {

using host::Code;
using host::failure;
using host::Outcome;
using host::Status;

/// Keeps "function: message" for this thread and returns the code.
mfa_status report(const char* function, const Status& status);

/// What the function that this thread is in is about, e.g. an operation's label: failures name it.
void about(const std::string& subject);

/// Calls `body(context)`; whatever it throws, C++ or Objective-C, becomes a Status.
Status guarded(Status (*body)(void*), void* context);

/// Every exported function is one of these.
template <class Body>
mfa_status call(const char* function, const Body& body) {
  Status status = guarded([](void* context) { return (*static_cast<const Body*>(context))(); },
                          const_cast<void*>(static_cast<const void*>(&body)));
  return status.ok() ? MFA_OK : report(function, status);
}

Status require(const void* pointer, const char* name);

}  // namespace mfa::api
