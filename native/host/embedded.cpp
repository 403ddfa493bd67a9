// SPDX-License-Identifier: MIT
// The bytes that the build embedded -> the sources in them, if it is not a metallib.
#include "host/embedded.h"

namespace mfa::host {

const std::vector<EmbeddedSource>& embedded_sources() {
  // metal/flatten.py wrote "//kernels NAME NAME \n", the source and a zero byte for each.
  static const auto* sources = [] {
    auto* list = new std::vector<EmbeddedSource>;
    const auto* bytes = reinterpret_cast<const char*>(mfa_embedded_metallib);
    std::string rest(bytes, reinterpret_cast<const char*>(mfa_embedded_metallib_end) - bytes);
    const std::string head = "//kernels ";
    size_t start = 0;
    while (rest.compare(start, head.size(), head) == 0) {
      const size_t line = rest.find('\n', start), zero = rest.find('\0', start);
      if (line == std::string::npos || zero == std::string::npos) break;
      const size_t names = start + head.size() - 1;
      list->push_back({rest.substr(names, line - names), rest.substr(start, zero - start)});
      start = zero + 1;
    }
    return list;
  }();
  return *sources;
}

}  // namespace mfa::host
