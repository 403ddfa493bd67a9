// SPDX-License-Identifier: MIT
// Splits a unit into one module per kernel and finishes each: constants, metadata, bitcode.
#include "metalc/emit.h"

#include "llvm/Bitcode/BitcodeWriter.h"
#include "llvm/IR/PassManager.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Transforms/IPO/GlobalDCE.h"
#include "llvm/Transforms/Utils/Cloning.h"
#include "metalc/constants.h"
#include "metalc/metadata.h"

namespace mfa::metalc {
namespace {

void remove_dead(llvm::Module& module) {
  llvm::ModuleAnalysisManager modules;
  llvm::FunctionAnalysisManager functions;
  llvm::PassBuilder builder;
  builder.registerModuleAnalyses(modules);
  builder.registerFunctionAnalyses(functions);
  modules.registerPass([&] { return llvm::FunctionAnalysisManagerModuleProxy(functions); });
  functions.registerPass([&] { return llvm::ModuleAnalysisManagerFunctionProxy(modules); });
  llvm::GlobalDCEPass().run(module, modules);
}

std::vector<uint8_t> bitcode(const llvm::Module& module) {
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream out(bytes);
  llvm::WriteBitcodeToFile(module, out);
  return {bytes.begin(), bytes.end()};
}

/// Nobody looks at them in a metallib, and reading them takes a third of the time to read it.
void drop_value_names(llvm::Module& module) {
  for (llvm::Function& function : module) {
    for (llvm::Argument& argument : function.args()) argument.setName("");
    for (llvm::BasicBlock& block : function) {
      block.setName("");
      for (llvm::Instruction& instruction : block) instruction.setName("");
    }
  }
}

}  // namespace

std::optional<Emitted> emit(const Unit& unit) {
  Emitted result;
  for (const Kernel& kernel : unit.kernels) {
    llvm::ValueToValueMapTy map;
    auto module = llvm::CloneModule(*unit.module, map, [&](const llvm::GlobalValue* value) {
      bool other_kernel = llvm::isa<llvm::Function>(value) && !value->hasLocalLinkage();
      return !other_kernel || value->getName() == kernel.name;
    });
    module->setModuleIdentifier(kernel.name);
    module->setSourceFileName(kernel.name);
    llvm::Function* function = module->getFunction(kernel.name);
    BoundConstants constants = bind_constants(*module, *function, kernel, unit);
    std::string problem = constants.error;
    if (problem.empty()) {
      remove_dead(*module);
      write_metadata(*module, *function, kernel, constants.predicates, unit.fast_math);
      llvm::raw_string_ostream out(problem);
      if (!llvm::verifyModule(*module, &out)) problem.clear();
    }
    if (!problem.empty()) {
      llvm::errs() << unit.file << ": error: kernel '" << kernel.name << "': " << problem << '\n';
      return std::nullopt;
    }
    llvm::raw_string_ostream(result.text) << *module;
    drop_value_names(*module);
    air::FunctionDescription description;
    description.name = kernel.name;
    description.constants = std::move(constants.records);
    description.bitcode = bitcode(*module);
    result.functions.push_back(std::move(description));
  }
  return result;
}

}  // namespace mfa::metalc
