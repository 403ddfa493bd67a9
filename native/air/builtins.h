// SPDX-License-Identifier: MIT
// The elementary functions compiled from air/builtins/*.c -> definitions inside a module.
#pragma once

#include <llvm/ADT/StringRef.h>

#include <string>

namespace llvm {
class Module;
}

namespace mfa::air {

/// Whether air/builtins defines this function (name without "air." and "fast_").
bool is_builtin(llvm::StringRef op);

/// The symbol of a builtin; its fast form where there is one and it is asked for.
std::string builtin_name(llvm::StringRef op, bool fast);

/// Gives every declared builtin its definition, internal and always inlined. True if there was any.
bool link_builtins(llvm::Module& module);

}  // namespace mfa::air
