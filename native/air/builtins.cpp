// SPDX-License-Identifier: MIT
// The elementary functions compiled from air/builtins/*.c -> definitions inside a module.
#include "air/builtins.h"

#include <llvm/Bitcode/BitcodeReader.h>
#include <llvm/IR/Module.h>
#include <llvm/Linker/Linker.h>
#include <llvm/Support/MemoryBuffer.h>

#include <algorithm>

namespace mfa::air {
namespace {

constexpr char kPrefix[] = "mfa_air_";

// ccache does not look into what is embedded: CCACHE_RECACHE=1 after a change in builtins/.
const unsigned char kBitcode[] = {
#embed "air_builtins.bc"
};

struct Builtin {
  const char* op;
  bool has_fast;
};
constexpr Builtin kBuiltins[] = {
    {"acos", false},  {"acosh", false}, {"asin", false}, {"asinh", false}, {"atan", false},
    {"atan2", false}, {"atanh", false}, {"cos", true},   {"cosh", false},  {"cospi", false},
    {"exp", true},    {"exp10", true},  {"exp2", true},  {"fmod", false},  {"frexp", false},
    {"ldexp", false}, {"log", true},    {"log10", true}, {"log2", true},   {"nextafter", false},
    {"pow", false},   {"powr", true},   {"sin", true},   {"sincos", true}, {"sinh", false},
    {"sinpi", false}, {"tan", true},    {"tanh", true},  {"tanpi", false},
};

const Builtin* find(llvm::StringRef op) {
  for (const Builtin& builtin : kBuiltins)
    if (op == builtin.op) return &builtin;
  return nullptr;
}

}  // namespace

bool is_builtin(llvm::StringRef op) { return find(op) != nullptr; }

std::string builtin_name(llvm::StringRef op, bool fast) {
  const Builtin* builtin = find(op);
  const bool use_fast = fast && builtin && builtin->has_fast;
  return (kPrefix + llvm::StringRef(use_fast ? "fast_" : "") + op).str();
}

bool link_builtins(llvm::Module& module) {
  const auto is_ours = [](const llvm::Function& function) {
    return function.getName().starts_with(kPrefix);
  };
  if (!std::any_of(module.begin(), module.end(), is_ours)) return false;
  const llvm::StringRef bytes(reinterpret_cast<const char*>(kBitcode), sizeof kBitcode);
  auto library =
      llvm::getLazyBitcodeModule(llvm::MemoryBufferRef(bytes, "builtins"), module.getContext());
  if (!library) {
    llvm::consumeError(library.takeError());
    return false;  // the declarations stay and are refused by name
  }
  (*library)->setTargetTriple(module.getTargetTriple());
  (*library)->setDataLayout(module.getDataLayout());
  llvm::Linker::linkModules(module, std::move(*library), llvm::Linker::LinkOnlyNeeded);
  for (llvm::Function& function : module) {
    if (!is_ours(function) || function.isDeclaration()) continue;
    function.setAttributes({});
    function.addFnAttr(llvm::Attribute::AlwaysInline);
    function.setLinkage(llvm::GlobalValue::InternalLinkage);
  }
  return true;
}

}  // namespace mfa::air
