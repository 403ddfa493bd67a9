// SPDX-License-Identifier: MIT
// Finds the kernels and function constants of a translation unit and describes them.
#pragma once

#include "clang/AST/ASTContext.h"
#include "clang/CodeGen/ModuleBuilder.h"
#include "metalc/unit.h"

namespace mfa::metalc {

/// Fills in `unit.kernels` and `unit.constants`; reports what a kernel may not be.
void collect_kernels(clang::ASTContext& context, clang::CodeGenerator& codegen, Unit& unit);

}  // namespace mfa::metalc
