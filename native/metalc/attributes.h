// SPDX-License-Identifier: MIT
// How MSL's attributes appear in the tree: annotations whose text starts with `mfa.`.
#pragma once

#include <optional>
#include <string>

#include "clang/AST/Attr.h"
#include "clang/AST/Decl.h"

namespace mfa::metalc {

/// The annotation `mfa.<name>` of a declaration or of the template it was made from, or null.
const clang::AnnotateAttr* find_attribute(const clang::Decl* decl, llvm::StringRef name);

/// Its first argument as a number.
std::optional<uint64_t> attribute_number(const clang::AnnotateAttr* attribute,
                                         const clang::ASTContext& context);

/// Its first argument as a string.
std::string attribute_string(const clang::AnnotateAttr* attribute);

/// The built-in argument a parameter asks for ("air.thread_position_in_grid"), or empty.
std::string find_builtin(const clang::Decl* decl);

/// Once per process, before the first compilation.
void register_attributes();

}  // namespace mfa::metalc
