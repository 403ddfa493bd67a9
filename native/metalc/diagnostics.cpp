// SPDX-License-Identifier: MIT
// Replaces lines in clang's code snippets by what the user wrote; both have the same length.
#include "metalc/diagnostics.h"

namespace mfa::metalc {

void DiagnosticPrinter::HandleDiagnostic(clang::DiagnosticsEngine::Level level,
                                         const clang::Diagnostic& diagnostic) {
  DiagnosticConsumer::HandleDiagnostic(level, diagnostic);
  printer_.HandleDiagnostic(level, diagnostic);
  out_.flush();
  for (llvm::StringRef rest = text_; !rest.empty();) {
    auto [line, after] = rest.split('\n');
    rest = after;
    auto [margin, code] = line.split(" | ");
    auto written = code.empty() ? changed_.end() : changed_.find(code.str());
    if (written == changed_.end())
      llvm::errs() << line << '\n';
    else
      llvm::errs() << margin << " | " << written->second << '\n';
  }
  text_.clear();
}

}  // namespace mfa::metalc
