// SPDX-License-Identifier: MIT
// An Objective-C object held by C++: retained while this exists. No Objective-C in this header.
#pragma once

#include <utility>

namespace mfa::host {

void* retain_object(void* object);
void release_object(void* object);

class Object {
 public:
  Object() = default;
  /// Takes over a reference that the caller owns, e.g. the result of a `new...` method.
  static Object adopt(void* object) {
    Object result;
    result.object_ = object;
    return result;
  }
  static Object retain(void* object) { return adopt(object ? retain_object(object) : nullptr); }

  Object(const Object& other) : object_(other.object_ ? retain_object(other.object_) : nullptr) {}
  Object(Object&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Object& operator=(Object other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Object() {
    if (object_) release_object(object_);
  }

  void* get() const { return object_; }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  void* object_ = nullptr;
};

}  // namespace mfa::host
