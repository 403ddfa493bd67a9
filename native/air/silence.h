// SPDX-License-Identifier: MIT
// Keeps LLVM's diagnostics off stderr while an object of this class lives.
#pragma once

#include <llvm/IR/DiagnosticHandler.h>
#include <llvm/IR/LLVMContext.h>

namespace mfa::air {

class Silence {
 public:
  explicit Silence(llvm::LLVMContext& context)
      : context_(context), before_(context.getDiagnosticHandler()) {
    context.setDiagnosticHandler(std::make_unique<Handler>());
  }
  ~Silence() { context_.setDiagnosticHandler(std::move(before_)); }
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;

 private:
  struct Handler : llvm::DiagnosticHandler {
    bool handleDiagnostics(const llvm::DiagnosticInfo&) override { return true; }
  };
  llvm::LLVMContext& context_;
  std::unique_ptr<llvm::DiagnosticHandler> before_;
};

}  // namespace mfa::air
