// SPDX-License-Identifier: MIT
// printf arguments -> the message of a Status.
#include "host/status.h"

#include <cstdio>

namespace mfa::host {

Status failure(Code code, const char* format, ...) {
  va_list arguments, again;
  va_start(arguments, format);
  va_copy(again, arguments);
  int length = vsnprintf(nullptr, 0, format, arguments);
  va_end(arguments);
  std::string message(length > 0 ? static_cast<size_t>(length) : 0, '\0');
  if (length > 0) vsnprintf(message.data(), message.size() + 1, format, again);
  va_end(again);
  return {code, std::move(message)};
}

}  // namespace mfa::host
