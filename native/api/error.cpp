// SPDX-License-Identifier: MIT
// Failures of this thread -> mfa_last_error(); exceptions -> Status.
#include "api/error.h"

#include <cstdio>
#include <exception>
#include <new>

#include "api/objective_c.h"
#include "base/activity.h"

static_assert(MFA_OK == int(mfa::host::Code::ok));
static_assert(MFA_ERROR_INVALID_ARGUMENT == int(mfa::host::Code::invalid_argument));
static_assert(MFA_ERROR_INVALID_TYPE == int(mfa::host::Code::invalid_type));
static_assert(MFA_ERROR_OUT_OF_BOUNDS == int(mfa::host::Code::out_of_bounds));
static_assert(MFA_ERROR_OVERLAP == int(mfa::host::Code::overlap));
static_assert(MFA_ERROR_READ_ONLY == int(mfa::host::Code::read_only));
static_assert(MFA_ERROR_WRONG_STATE == int(mfa::host::Code::wrong_state));
static_assert(MFA_ERROR_NOT_FOUND == int(mfa::host::Code::not_found));
static_assert(MFA_ERROR_UNSUPPORTED == int(mfa::host::Code::unsupported));
static_assert(MFA_ERROR_OUT_OF_MEMORY == int(mfa::host::Code::out_of_memory));
static_assert(MFA_ERROR_CORRUPT == int(mfa::host::Code::corrupt));
static_assert(MFA_ERROR_COMPILE == int(mfa::host::Code::compile));
static_assert(MFA_ERROR_EXECUTION == int(mfa::host::Code::execution));
static_assert(MFA_TIMEOUT == int(mfa::host::Code::timeout));
static_assert(MFA_ERROR_INTERNAL == int(mfa::host::Code::internal));
static_assert(MFA_CANCELLED == int(mfa::host::Code::cancelled));

namespace mfa::api {

namespace {

thread_local std::string last_error, subject;

}  // namespace

mfa_status report(const char* function, const Status& status) {
  try {
    last_error = function;
    if (!subject.empty()) last_error += " \"" + subject + '"';
    last_error += ": " + status.message;
  } catch (const std::bad_alloc&) {
    last_error.clear();  // the code still tells
  }
  return static_cast<mfa_status>(status.code);
}

void about(const std::string& now) { subject = now; }

Status guarded(Status (*body)(void*), void* context) {
  if (forked_while_active.load(std::memory_order_relaxed)) {
    return failure(Code::wrong_state,
                   "this process was forked while the library worked in its parent, and has none "
                   "of its threads; expected a fork while nothing runs, or a new process (spawn, "
                   "forkserver, exec)");
  }
  Activity here;
  subject.clear();
  try {
    return guarded_objective_c(body, context);
  } catch (const std::bad_alloc&) {
    return {Code::out_of_memory, "out of memory"};
  } catch (const std::exception& exception) {
    return {Code::internal, std::string("unexpected: ") + exception.what()};
  } catch (...) {
    return {Code::internal, "unexpected exception"};
  }
}

Status require(const void* pointer, const char* name) {
  if (pointer) return {};
  return failure(Code::invalid_argument, "%s is NULL", name);
}

}  // namespace mfa::api

extern "C" const char* mfa_last_error(void) { return mfa::api::last_error.c_str(); }

extern "C" const char* mfa_version(void) { return MFA_VERSION; }

extern "C" const char* mfa_status_name(mfa_status status) {
  switch (status) {
    case MFA_OK:
      return "MFA_OK";
    case MFA_ERROR_INVALID_ARGUMENT:
      return "MFA_ERROR_INVALID_ARGUMENT";
    case MFA_ERROR_INVALID_TYPE:
      return "MFA_ERROR_INVALID_TYPE";
    case MFA_ERROR_OUT_OF_BOUNDS:
      return "MFA_ERROR_OUT_OF_BOUNDS";
    case MFA_ERROR_OVERLAP:
      return "MFA_ERROR_OVERLAP";
    case MFA_ERROR_READ_ONLY:
      return "MFA_ERROR_READ_ONLY";
    case MFA_ERROR_WRONG_STATE:
      return "MFA_ERROR_WRONG_STATE";
    case MFA_ERROR_NOT_FOUND:
      return "MFA_ERROR_NOT_FOUND";
    case MFA_ERROR_UNSUPPORTED:
      return "MFA_ERROR_UNSUPPORTED";
    case MFA_ERROR_OUT_OF_MEMORY:
      return "MFA_ERROR_OUT_OF_MEMORY";
    case MFA_ERROR_CORRUPT:
      return "MFA_ERROR_CORRUPT";
    case MFA_ERROR_COMPILE:
      return "MFA_ERROR_COMPILE";
    case MFA_ERROR_EXECUTION:
      return "MFA_ERROR_EXECUTION";
    case MFA_TIMEOUT:
      return "MFA_TIMEOUT";
    case MFA_ERROR_INTERNAL:
      return "MFA_ERROR_INTERNAL";
    case MFA_CANCELLED:
      return "MFA_CANCELLED";
  }
  return "unknown status";
}
