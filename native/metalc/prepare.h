// SPDX-License-Identifier: MIT
// Adjusts declarations between semantic analysis and code generation.
#pragma once

#include <memory>

#include "clang/AST/ASTConsumer.h"

namespace mfa::metalc {

/// Must see each declaration before the code generator does.
std::unique_ptr<clang::ASTConsumer> make_preparer();

}  // namespace mfa::metalc
