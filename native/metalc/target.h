// SPDX-License-Identifier: MIT
// Describes the AIR machine to clang: types, layout, address spaces.
#pragma once

#include <memory>

namespace clang {
class TargetInfo;
class TargetOptions;
}  // namespace clang

namespace mfa::metalc {

inline constexpr char kTriple[] = "air64-apple-macosx14.0.0";
inline constexpr char kDataLayout[] =
    "e-p:64:64:64-i1:8:8-i8:8:8-i16:16:16-i32:32:32-i64:64:64-f32:32:32-f64:64:64-v16:16:16-"
    "v24:32:32-v32:32:32-v48:64:64-v64:64:64-v96:128:128-v128:128:128-v192:256:256-v256:256:256-"
    "v512:512:512-v1024:1024:1024-n8:16:32";

/// Numbers of AIR's address spaces.
enum AddressSpace : unsigned { as_thread = 0, as_device = 1, as_constant = 2, as_threadgroup = 3 };

/// The caller owns the result, as with clang's own factory.
clang::TargetInfo* make_air_target(std::shared_ptr<clang::TargetOptions> options);

}  // namespace mfa::metalc
