// SPDX-License-Identifier: MIT
// How a call of the host ended: a code and a message, or a value.
#pragma once

#include <cstdarg>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>

namespace mfa::host {

/// The numbers of mfa_status; native/api asserts that they agree.
enum class Code : int {
  ok = 0,
  invalid_argument = 1,
  invalid_type = 2,
  out_of_bounds = 3,
  overlap = 4,
  read_only = 5,
  wrong_state = 6,
  not_found = 7,
  unsupported = 8,
  out_of_memory = 9,
  corrupt = 10,
  compile = 11,
  execution = 12,
  timeout = 13,
  internal = 14,
  cancelled = 15,
};

struct [[nodiscard]] Status {
  Code code = Code::ok;
  std::string message;

  bool ok() const { return code == Code::ok; }
};

/// A Status with a printf-formatted message.
__attribute__((format(printf, 2, 3))) Status failure(Code code, const char* format, ...);

template <class T>
class [[nodiscard]] Outcome {
 public:
  Outcome(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Outcome(Status status) : state_(std::in_place_index<1>, std::move(status)) {}

  bool ok() const { return state_.index() == 0; }
  T& operator*() { return std::get<0>(state_); }
  const T& operator*() const { return std::get<0>(state_); }
  T* operator->() { return &std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }
  const Status& status() const { return std::get<1>(state_); }

 private:
  std::variant<T, Status> state_;
};

/// Leaves the calling function with the status of a call that failed.
#define MFA_TRY(expression)                                                     \
  do {                                                                          \
    if (auto mfa_status_ = (expression); !mfa_status_.ok()) return mfa_status_; \
  } while (0)

}  // namespace mfa::host
