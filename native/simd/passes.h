// SPDX-License-Identifier: MIT
// New-style LLVM passes -> run on one function, with analyses of their own.
#pragma once

#include "llvm/Analysis/CGSCCPassManager.h"
#include "llvm/Passes/PassBuilder.h"

namespace mfa::simd {

inline void run_passes(llvm::Function& function, llvm::FunctionPassManager passes,
                       llvm::TargetMachine* target = nullptr) {
  llvm::PassBuilder builder(target);
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  passes.run(function, functions);
}

}  // namespace mfa::simd
