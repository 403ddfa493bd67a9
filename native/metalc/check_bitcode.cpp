// SPDX-License-Identifier: MIT
// Bitcode on standard input -> an exit status.
#include "metalc/check_bitcode.h"

#include <sys/resource.h>

#include "llvm/Bitcode/BitcodeReader.h"
#include "llvm/IR/DiagnosticInfo.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

namespace mfa::metalc {
namespace {

void limit(int resource, rlim_t value) {
  rlimit both{value, value};
  setrlimit(resource, &both);
}

int refuse(const std::string& why) {
  llvm::errs() << why;
  return 1;
}

}  // namespace

int check_bitcode() {
  constexpr rlim_t seconds = 10, bytes = rlim_t(4) << 30;
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_CPU, seconds);
  limit(RLIMIT_AS, bytes);
  auto input = llvm::MemoryBuffer::getSTDIN();
  if (!input) return refuse(input.getError().message());
  llvm::LLVMContext context;
  context.setDiagnosticHandlerCallBack([](const llvm::DiagnosticInfo*, void*) {});
  auto module = llvm::parseBitcodeFile((*input)->getMemBufferRef(), context);
  if (!module) return refuse(llvm::toString(module.takeError()));
  std::string problems;
  llvm::raw_string_ostream stream(problems);
  if (llvm::verifyModule(**module, &stream)) return refuse("it is not valid: " + stream.str());
  return 0;
}

}  // namespace mfa::metalc
