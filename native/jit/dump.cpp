// SPDX-License-Identifier: MIT
// Stages of the compilation -> files for people, if MFA_DUMP names a folder.
#include "jit/dump.h"

#include <cstdlib>
#include <fstream>

namespace mfa::jit {

bool dumps() {
  const char* folder = getenv("MFA_DUMP");
  return folder && *folder;
}

void dump(const std::string& function, const char* stage,
          const std::function<std::string()>& text) {
  if (!dumps()) return;
  std::string name = function.substr(0, 200);  // file names end at 255
  for (char& c : name)
    if (c == '/' || c == '\0') c = '_';
  std::ofstream(std::string(getenv("MFA_DUMP")) + "/" + name + "." + stage) << text();
}

}  // namespace mfa::jit
