// SPDX-License-Identifier: MIT
// Objective-C exceptions -> Status. GCC's run time cannot catch both kinds in one function.
#include "api/objective_c.h"

#import <Foundation/Foundation.h>

namespace mfa::api {

host::Status guarded_objective_c(host::Status (*body)(void*), void* context) {
  @try {
    return body(context);
  } @catch (NSException* exception) {
    const char* reason = [[exception reason] UTF8String];
    return {host::Code::internal, std::string("unexpected: ") + (reason ? reason : "no reason")};
  }
}

}  // namespace mfa::api
