// SPDX-License-Identifier: MIT
// What metal/ was made into, inside this library's read-only data (embedded.S): a metallib or,
// where Apple's compiler was missing, the sources.
#pragma once

#include <string>
#include <vector>

extern "C" {
extern const unsigned char mfa_embedded_metallib[] __attribute__((visibility("hidden")));
extern const unsigned char mfa_embedded_metallib_end[] __attribute__((visibility("hidden")));
}

namespace mfa::host {

struct EmbeddedSource {
  std::string kernels;  // " name name "
  std::string text;
};

/// Empty where a metallib is embedded.
const std::vector<EmbeddedSource>& embedded_sources();

}  // namespace mfa::host
