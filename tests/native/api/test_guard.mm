// SPDX-License-Identifier: MIT
// C++ and Objective-C exceptions thrown below an exported function end as a status.
#include <cstdio>
#include <cstring>
#include <new>
#include <stdexcept>

#import <Foundation/Foundation.h>

#include "api/error.h"

using namespace mfa::api;

namespace {

int failures = 0;

/// Counts how often it is destroyed: unwinding has to run destructors.
struct Witness {
  int* count;
  ~Witness() { ++*count; }
};

template <class Body>
void expect(const char* what, mfa_status status, const char* message, const Body& body) {
  int destroyed = 0;
  mfa_status got = call("mfa_test", [&]() -> Status {
    Witness witness{&destroyed};
    body();
    return {};
  });
  bool right = got == status && destroyed == 1 && strcmp(mfa_last_error(), message) == 0;
  if (right) return;
  fprintf(stderr, "%s: status %d, message \"%s\", %d destroyed\n", what, got, mfa_last_error(),
          destroyed);
  ++failures;
}

}  // namespace

int main() {
  @autoreleasepool {
    expect("nothing", MFA_OK, "", [] {});
    expect("bad_alloc", MFA_ERROR_OUT_OF_MEMORY, "mfa_test: out of memory",
           [] { throw std::bad_alloc(); });
    expect("C++", MFA_ERROR_INTERNAL, "mfa_test: unexpected: broken",
           [] { throw std::runtime_error("broken"); });
    expect("a number", MFA_ERROR_INTERNAL, "mfa_test: unexpected exception", [] { throw 7; });
    expect("Objective-C", MFA_ERROR_INTERNAL, "mfa_test: unexpected: out of range",
           [] { [NSException raise:NSRangeException format:@"out of range"]; });
  }
  return failures != 0;
}
