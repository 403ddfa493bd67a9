// SPDX-License-Identifier: MIT
// Gives the library's undefined function templates the names of AIR's intrinsics.
#pragma once

#include "clang/AST/ASTContext.h"
#include "clang/CodeGen/ModuleBuilder.h"
#include "metalc/unit.h"

namespace mfa::metalc {

/// A declaration marked `mfa_air("exp.$0")` is renamed after its pattern:
///  $0 $1 $2 ...  type of that parameter: f32, v4f16, i32, p1f32
///  $r            type of the result
///  $s0 ...       the same with a letter for integers: s.i32, u.i32, u.v2i32
///  $a0           global or local, from the address space of a pointer
///  $e0           type a pointer points at, $se0 with the letter
void name_intrinsics(const clang::ASTContext& context, clang::CodeGenerator& codegen,
                     llvm::Module& module);

/// Remembers where functions stand, for errors that only show after optimisation.
void note_locations(const clang::ASTContext& context, clang::CodeGenerator& codegen, Unit& unit);

}  // namespace mfa::metalc
