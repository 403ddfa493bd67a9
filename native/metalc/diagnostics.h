// SPDX-License-Identifier: MIT
// Prints clang's diagnostics with the source lines as the user wrote them.
#pragma once

#include <map>
#include <string>

#include "clang/Frontend/TextDiagnosticPrinter.h"
#include "llvm/Support/raw_ostream.h"

namespace mfa::metalc {

class DiagnosticPrinter final : public clang::DiagnosticConsumer {
 public:
  /// `changed` maps lines as clang saw them to lines as they were; it may grow later.
  DiagnosticPrinter(clang::DiagnosticOptions* options,
                    const std::map<std::string, std::string>& changed)
      : out_(text_), printer_(out_, options), changed_(changed) {}

  void BeginSourceFile(const clang::LangOptions& language,
                       const clang::Preprocessor* source) override {
    printer_.BeginSourceFile(language, source);
  }
  void EndSourceFile() override { printer_.EndSourceFile(); }
  void HandleDiagnostic(clang::DiagnosticsEngine::Level level,
                        const clang::Diagnostic& diagnostic) override;

 private:
  std::string text_;
  llvm::raw_string_ostream out_;
  clang::TextDiagnosticPrinter printer_;
  const std::map<std::string, std::string>& changed_;
};

}  // namespace mfa::metalc
