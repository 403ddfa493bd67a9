// SPDX-License-Identifier: MIT
// The files clang sees: our MSL headers from memory, the user's with a few spellings replaced.
#pragma once

#include <map>
#include <string>

#include "llvm/ADT/IntrusiveRefCntPtr.h"
#include "llvm/Support/VirtualFileSystem.h"

namespace mfa::metalc {

/// Folder, in the virtual file system, that holds <metal_stdlib> and its parts.
inline constexpr char kPreludeFolder[] = "/.mfa/metal";

/// Replaces what C++ cannot parse by text of the same length, so that lines and columns stay true.
/// `changed`, if given, receives the lines that differ: as clang sees them -> as they were written.
std::string adapt(llvm::StringRef text, std::map<std::string, std::string>* changed = nullptr);

/// The disk with the headers laid over it; `stdin_text` appears as `stdin_path` unless that is
/// empty. `changed` is filled as files are read.
llvm::IntrusiveRefCntPtr<llvm::vfs::FileSystem> make_files(
    const std::string& stdin_path, const std::string& stdin_text,
    std::map<std::string, std::string>& changed);

}  // namespace mfa::metalc
