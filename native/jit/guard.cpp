// SPDX-License-Identifier: MIT
// An LLVM function that would end the process -> an error message.
#include "jit/guard.h"

#include <csetjmp>
#include <mutex>

#include "llvm/Support/ErrorHandling.h"

namespace mfa::jit {
namespace {

struct Recovery {
  jmp_buf place;
  std::string message;
};

thread_local Recovery* recovery = nullptr;

/// Returning from here would make LLVM call exit().
void on_fatal_error(void*, const char* reason, bool) {
  if (!recovery) return;
  recovery->message = reason;
  longjmp(recovery->place, 1);
}

}  // namespace

std::optional<std::string> run_guarded(llvm::function_ref<void()> body) {
  static std::once_flag installed;
  std::call_once(installed, [] { llvm::install_fatal_error_handler(&on_fatal_error); });
  // On the heap, so that nothing of it lives in registers across the jump.
  auto* mine = new Recovery;
  Recovery* outer = recovery;
  recovery = mine;
  std::optional<std::string> failure;
  if (setjmp(mine->place) == 0) {
    body();
    recovery = outer;
  } else {
    recovery = outer;
    failure = mine->message;
  }
  delete mine;
  return failure;
}

}  // namespace mfa::jit
