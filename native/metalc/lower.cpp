// SPDX-License-Identifier: MIT
// Prepares clang's module for AIR: wraps kernels, inlines, optimises, checks what is left.
#include "metalc/lower.h"

#include <set>

#include "llvm/ADT/SCCIterator.h"
#include "llvm/Analysis/CallGraph.h"
#include "llvm/Demangle/Demangle.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Transforms/Utils/ModuleUtils.h"
#include "metalc/conversions.h"
#include "metalc/fuse.h"
#include "metalc/optimize.h"
#include "metalc/target.h"
#include "metalc/wrapper.h"

namespace mfa::metalc {
namespace {

bool fail(const Unit& unit, llvm::StringRef symbol, const std::string& text) {
  auto place = unit.locations.find(symbol.str());
  llvm::errs() << (place == unit.locations.end() ? unit.file : place->second) << ": error: " << text
               << '\n';
  return false;
}

void drop_global(llvm::Module& module, const char* name) {
  if (llvm::GlobalVariable* variable = module.getGlobalVariable(name)) variable->eraseFromParent();
}

// Constructors stay callable for constants.cpp, which sorts out which of them a kernel needs.
void localize(llvm::Module& module, const std::set<llvm::Function*>& kernels) {
  drop_global(module, "llvm.compiler.used");
  drop_global(module, "llvm.used");
  drop_global(module, "llvm.global.annotations");
  for (llvm::GlobalVariable& variable : module.globals()) {
    variable.setComdat(nullptr);
    if (variable.isDeclaration() || variable.getName().starts_with("llvm.")) continue;
    variable.setLinkage(llvm::GlobalValue::InternalLinkage);
    if (variable.getAddressSpace() == as_threadgroup)
      variable.setInitializer(llvm::UndefValue::get(variable.getValueType()));
  }
  for (llvm::Function& function : module) {
    function.setComdat(nullptr);
    function.setDSOLocal(false);
    if (function.isDeclaration() || kernels.count(&function)) continue;
    llvm::StringRef name = function.getName();
    bool initializer = name.starts_with("__cxx_global_var_init") || name.starts_with("_GLOBAL__");
    function.setSection("");
    function.setLinkage(llvm::GlobalValue::InternalLinkage);
    if (initializer) continue;
    function.removeFnAttr(llvm::Attribute::NoInline);
    function.removeFnAttr(llvm::Attribute::OptimizeNone);
    function.addFnAttr(llvm::Attribute::AlwaysInline);
  }
}

bool check_recursion(const Unit& unit) {
  llvm::CallGraph graph(*unit.module);
  for (auto component = llvm::scc_begin(&graph); !component.isAtEnd(); ++component) {
    if (!component.hasCycle()) continue;
    for (llvm::CallGraphNode* node : *component) {
      if (llvm::Function* function = node->getFunction())
        return fail(unit, function->getName(),
                    "recursion is not possible in Metal: '" +
                        llvm::demangle(function->getName().str()) + "'");
    }
  }
  return true;
}

bool check_calls(const Unit& unit) {
  for (const llvm::Function& function : *unit.module) {
    if (!function.isDeclaration() || function.use_empty() || function.isIntrinsic() ||
        function.getName().starts_with("air."))
      continue;
    return fail(
        unit, function.getName(),
        "function '" + llvm::demangle(function.getName().str()) + "' is used but not defined");
  }
  return true;
}

// A vector conversion that does not fit must not be poison, as little as clang's scalar ones.
void saturate(llvm::Instruction& instruction) {
  bool is_signed = instruction.getOpcode() == llvm::Instruction::FPToSI;
  if (!is_signed && instruction.getOpcode() != llvm::Instruction::FPToUI) return;
  llvm::IRBuilder<> builder(&instruction);
  llvm::Value* from = instruction.getOperand(0);
  instruction.replaceAllUsesWith(
      builder.CreateIntrinsic(is_signed ? llvm::Intrinsic::fptosi_sat : llvm::Intrinsic::fptoui_sat,
                              {instruction.getType(), from->getType()}, {from}));
}

// MSL takes shift amounts modulo the width; LLVM would call what lies outside poison.
void mask_shift(llvm::Instruction& instruction) {
  if (!instruction.isShift() || llvm::isa<llvm::Constant>(instruction.getOperand(1))) return;
  llvm::IRBuilder<> builder(&instruction);
  llvm::Type* type = instruction.getType();
  instruction.setOperand(
      1, builder.CreateAnd(instruction.getOperand(1),
                           llvm::ConstantInt::get(type, type->getScalarSizeInBits() - 1)));
}

// What the optimiser needed and AIR does not want.
void clean(llvm::Function& function) {
  for (llvm::BasicBlock& block : function) {
    for (llvm::Instruction& instruction : llvm::make_early_inc_range(block)) {
      saturate(instruction);
      auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(&instruction);
      if (!call) continue;
      llvm::Intrinsic::ID id = call->getIntrinsicID();
      if (id == llvm::Intrinsic::invariant_start && call->use_empty()) call->eraseFromParent();
      if (id == llvm::Intrinsic::experimental_noalias_scope_decl) call->eraseFromParent();
    }
  }
}

bool calls_convergent(const llvm::Function& function) {
  for (const llvm::BasicBlock& block : function)
    for (const llvm::Instruction& instruction : block)
      if (const auto* call = llvm::dyn_cast<llvm::CallBase>(&instruction);
          call && call->isConvergent() && !llvm::isa<llvm::IntrinsicInst>(call))
        return true;
  return false;
}

}  // namespace

bool lower(Unit& unit) {
  llvm::Module& module = *unit.module;
  module.setTargetTriple(kTriple);
  std::set<llvm::Function*> kernels;
  for (const Kernel& kernel : unit.kernels) {
    llvm::Function* function = add_wrapper(module, kernel, unit.fast_math);
    if (!function)
      return fail(unit, kernel.symbol, "kernel '" + kernel.name + "' was not compiled");
    kernels.insert(function);
  }
  localize(module, kernels);
  for (llvm::Function& function : module) {
    if (function.isDeclaration()) continue;
    clean(function);
    for (llvm::BasicBlock& block : function)
      for (llvm::Instruction& instruction : block) mask_shift(instruction);
  }
  if (!check_recursion(unit)) return false;
  optimize(module);
  if (!check_calls(unit)) return false;
  for (llvm::Function& function : module) {
    if (function.isDeclaration()) continue;
    clean(function);
    fuse_products(function, unit.fast_math);
    spell_conversions(function);
    if (unit.fast_math && kernels.count(&function)) function.addFnAttr("unsafe-fp-math", "true");
    if (calls_convergent(function))
      function.setConvergent();
    else
      function.setNotConvergent();
  }
  std::string problem;
  llvm::raw_string_ostream out(problem);
  if (llvm::verifyModule(module, &out)) return fail(unit, "", "invalid code: " + problem);
  return true;
}

}  // namespace mfa::metalc
