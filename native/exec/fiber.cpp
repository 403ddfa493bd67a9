// SPDX-License-Identifier: MIT
// Several flows of control on one thread, switched by hand.
#include "exec/fiber.h"

#include <boost/context/detail/fcontext.hpp>
#include <cstdlib>

#include "exec/code.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MFA_ADDRESS_SANITIZER 1
#include <sanitizer/common_interface_defs.h>
#endif
#endif

namespace mfa::exec {

namespace context = boost::context::detail;

/// Tells the address sanitizer which stack is in use; empty without it.
struct Fiber::Switch {
  static void begin(void** shadow, const Fiber& to) {
#ifdef MFA_ADDRESS_SANITIZER
    __sanitizer_start_switch_fiber(shadow, to.stack_.bottom, to.stack_.bytes);
#else
    (void)shadow, (void)to;
#endif
  }
  /// `from` is the fiber that switched here; the thread's own stack becomes known this way.
  static void end(void* shadow, Fiber& from) {
#ifdef MFA_ADDRESS_SANITIZER
    const void* bottom = nullptr;
    size_t bytes = 0;
    __sanitizer_finish_switch_fiber(shadow, &bottom, &bytes);
    from.stack_ = Stack{static_cast<unsigned char*>(const_cast<void*>(bottom)), bytes};
#else
    (void)shadow, (void)from;
#endif
  }
};

struct FiberEntry {
  MFA_SWITCHES_STACKS static void run(context::transfer_t transfer) {
    Fiber& from = *static_cast<Fiber*>(transfer.data);
    from.context_ = transfer.fctx;
    Fiber& self = *from.target_;
    Fiber::Switch::end(nullptr, from);
    self.entry_(self.argument_);
    abort();  // our own invariant: entries end in leave()
  }
};

void Fiber::start(Stack stack, Entry entry, void* argument) {
  stack_ = stack;
  entry_ = entry;
  argument_ = argument;
  context_ = context::make_fcontext(stack.bottom + stack.bytes, stack.bytes, &FiberEntry::run);
}

MFA_SWITCHES_STACKS void Fiber::switch_to(Fiber& to) {
  target_ = &to;
  Switch::begin(&shadow_, to);
  context::transfer_t transfer = context::jump_fcontext(to.context_, this);
  Fiber& from = *static_cast<Fiber*>(transfer.data);
  from.context_ = transfer.fctx;
  Switch::end(shadow_, from);
}

MFA_SWITCHES_STACKS void Fiber::leave(Fiber& to) {
  target_ = &to;
  Switch::begin(nullptr, to);
  context::jump_fcontext(to.context_, this);
  abort();
}

}  // namespace mfa::exec
