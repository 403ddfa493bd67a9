// SPDX-License-Identifier: MIT
// Several flows of control on one thread, switched by hand.
#pragma once

#include <cstddef>

namespace mfa::exec {

struct Stack {
  unsigned char* bottom = nullptr;
  size_t bytes = 0;
};

/// A flow of control. One default-constructed Fiber stands for the thread itself.
class Fiber {
 public:
  using Entry = void (*)(void* argument);

  /// Makes the fiber call `entry(argument)` when it is first switched to. `entry` never returns:
  /// it ends in `leave`.
  void start(Stack stack, Entry entry, void* argument);

  /// Suspends the running fiber `*this` and goes on with `to`; returns when switched back to.
  void switch_to(Fiber& to);

  /// Ends the running fiber `*this` and goes on with `to`.
  [[noreturn]] void leave(Fiber& to);

 private:
  struct Switch;  // the address sanitizer's view of a switch
  friend struct FiberEntry;

  void* context_ = nullptr;
  Entry entry_ = nullptr;
  void* argument_ = nullptr;
  Fiber* target_ = nullptr;  // whom the last switch_to or leave went to
  Stack stack_;
  void* shadow_ = nullptr;
};

}  // namespace mfa::exec
