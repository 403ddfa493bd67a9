// SPDX-License-Identifier: MIT
// Types of the tree as MSL spells them and as AIR's metadata describes them.
#pragma once

#include <string>
#include <vector>

#include "clang/AST/ASTContext.h"
#include "metalc/unit.h"

namespace mfa::metalc {

/// Element type and length of metal::vec<T, N> or metal::packed_vec<T, N>; `length` 0 otherwise.
struct VectorShape {
  clang::QualType element;
  unsigned length = 0;
  bool packed = false;
};
VectorShape vector_shape(clang::QualType type);

/// "uint", "float4", "packed_half3", "Params", "atomic_uint", ...
std::string type_name(clang::QualType type, const clang::ASTContext& context);

/// The members of a structure; none for scalars, vectors and the library's own types.
std::vector<Member> members_of(clang::QualType type, const clang::ASTContext& context);

}  // namespace mfa::metalc
