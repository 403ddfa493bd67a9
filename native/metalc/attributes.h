// SPDX-License-Identifier: MIT
// How MSL's attributes appear in the tree: annotations whose text starts with `mfa.`.
#pragma once

#include <optional>
#include <string>

#include "clang/AST/Attr.h"
#include "clang/AST/Decl.h"

namespace mfa::metalc {

struct Attribute {
  clang::SourceLocation location;
  const clang::Expr* argument = nullptr;

  /// The argument as a constant of 32 bits.
  std::optional<uint64_t> number(const clang::ASTContext& context) const;
  /// The argument without conversions, or null.
  const clang::Expr* written() const;
  /// The argument as a string, empty if it is none.
  std::string string() const;
};

/// The annotation `mfa.<name>` of a declaration.
std::optional<Attribute> find_attribute(const clang::Decl* decl, llvm::StringRef name);

/// The built-in argument a parameter asks for ("air.thread_position_in_grid"), or empty.
std::string find_builtin(const clang::Decl* decl);

/// Once per process, before the first compilation.
void register_attributes();

}  // namespace mfa::metalc
