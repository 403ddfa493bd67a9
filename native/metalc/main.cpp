// SPDX-License-Identifier: MIT
// mfa-metalc: Metal Shading Language in, a metallib out.
#include <cstdio>
#include <string>

#include "llvm/IR/Module.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Support/Signals.h"
#include "metalc/attributes.h"
#include "metalc/frontend.h"

using namespace mfa::metalc;

int main(int argc, char** argv) {
  llvm::sys::PrintStackTraceOnErrorSignal(argv[0]);
  register_attributes();
  Options options;
  options.inputs.push_back(argv[1]);
  auto unit = parse(options, argv[1]);
  if (!unit) return 1;
  unit->module->print(llvm::outs(), nullptr);
  return 0;
}
