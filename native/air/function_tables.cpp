// SPDX-License-Identifier: MIT
// Calls through visible function tables -> a choice among the functions linked to the kernel.
#include "air/function_tables.h"

#include <llvm/Bitcode/BitcodeReader.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/Verifier.h>
#include <llvm/Linker/Linker.h>
#include <llvm/Support/MemoryBuffer.h>
#include <llvm/Transforms/Utils/BasicBlockUtils.h>

namespace mfa::air {
namespace {

constexpr char kLookup[] = "air.get_function_pointer_visible_function_table";
constexpr char kName[] = "mfa.visible.";

/// The function that the !air.visible entry of a module names, or null.
llvm::Function* visible_function(const llvm::Module& module) {
  const llvm::NamedMDNode* entries = module.getNamedMetadata("air.visible");
  if (!entries || entries->getNumOperands() != 1) return nullptr;
  const llvm::MDNode* entry = entries->getOperand(0);
  if (entry->getNumOperands() == 0) return nullptr;
  auto* function = llvm::mdconst::dyn_extract_or_null<llvm::Function>(entry->getOperand(0));
  return function && !function->isDeclaration() && !function->isVarArg() ? function : nullptr;
}

Result<std::unique_ptr<llvm::Module>> load_visible(const FunctionRecord& record,
                                                   const std::string& name,
                                                   llvm::LLVMContext& context) {
  if (record.type != FunctionType::visible)
    return refusal(record, "it is linked to a kernel but is no visible function");
  const llvm::StringRef bytes(reinterpret_cast<const char*>(record.bitcode.data()),
                              record.bitcode.size());
  auto parsed = llvm::parseBitcodeFile(llvm::MemoryBufferRef(bytes, record.name), context);
  if (!parsed)
    return refusal(record, "its bitcode cannot be read: " + llvm::toString(parsed.takeError()));
  std::unique_ptr<llvm::Module> module = std::move(*parsed);
  if (llvm::verifyModule(*module)) return refusal(record, "its bitcode is not valid");
  const llvm::NamedMDNode* constants = module->getNamedMetadata("air.function_constants");
  if (constants && constants->getNumOperands() > 0)
    return refusal(record,
                   "it is linked to a kernel and uses function constants, which is not "
                   "supported");
  llvm::Function* function = visible_function(*module);
  if (!function) return refusal(record, "its module does not have exactly one !air.visible entry");
  // What the kernel's own metadata says counts.
  for (llvm::NamedMDNode& node : llvm::make_early_inc_range(module->named_metadata()))
    module->eraseNamedMetadata(&node);
  for (llvm::Function& other : *module)
    if (!other.isDeclaration()) other.setLinkage(llvm::GlobalValue::InternalLinkage);
  function->setComdat(nullptr);
  function->setLinkage(llvm::GlobalValue::ExternalLinkage);
  function->setName(name);
  return module;
}

/// The entry of a table becomes the pointer that stands for its function.
void lower_lookup(llvm::CallInst& call) {
  llvm::IRBuilder<> builder(&call);
  llvm::Type* i32 = builder.getInt32Ty();
  llvm::Value* index = builder.CreateZExt(call.getArgOperand(1), builder.getInt64Ty());
  llvm::Value* place = builder.CreateInBoundsGEP(i32, call.getArgOperand(0), index);
  llvm::Value* number = builder.CreateAlignedLoad(i32, place, llvm::Align(4));
  number = builder.CreateZExt(number, builder.getInt64Ty());
  call.replaceAllUsesWith(builder.CreateIntToPtr(number, call.getType()));
  call.eraseFromParent();
}

bool is_lookup(const llvm::CallInst& call) {
  return call.arg_size() == 2 && call.getArgOperand(0)->getType()->isPointerTy() &&
         call.getArgOperand(1)->getType()->isIntegerTy(32) && call.getType()->isPointerTy();
}

/// Calls of a pointer: of the function whose number it is. Of nothing where it is no number of a
/// function with the call's type, and the result is 0.
void lower_call(llvm::CallInst& call, llvm::ArrayRef<llvm::Function*> functions) {
  llvm::BasicBlock* before = call.getParent();
  llvm::BasicBlock* after = llvm::SplitBlock(before, &call);
  before->getTerminator()->eraseFromParent();
  llvm::IRBuilder<> builder(before);
  llvm::Value* number = builder.CreatePtrToInt(call.getCalledOperand(), builder.getInt64Ty());
  llvm::SwitchInst* choice = builder.CreateSwitch(number, after);
  const bool returns = !call.getType()->isVoidTy();
  llvm::PHINode* result = nullptr;
  if (returns) {
    result = llvm::PHINode::Create(call.getType(), 2, "", after->begin());
    result->addIncoming(llvm::Constant::getNullValue(call.getType()), before);
  }
  const llvm::SmallVector<llvm::Value*, 8> operands(call.args());
  for (size_t i = 0; i < functions.size(); ++i) {
    if (functions[i]->getFunctionType() != call.getFunctionType()) continue;
    auto* block = llvm::BasicBlock::Create(call.getContext(), "", before->getParent(), after);
    builder.SetInsertPoint(block);
    llvm::Value* value = builder.CreateCall(functions[i], operands);
    builder.CreateBr(after);
    choice->addCase(builder.getInt64(i + 1), block);
    if (returns) result->addIncoming(value, block);
  }
  if (returns) call.replaceAllUsesWith(result);
  call.eraseFromParent();
}

}  // namespace

Result<void> link_visible(llvm::Module& module, const LinkedFunctions& linked) {
  llvm::Linker linker(module);
  for (size_t i = 0; i < linked.size(); ++i) {
    auto loaded = load_visible(*linked[i].record, kName + std::to_string(i), module.getContext());
    if (!loaded) return loaded.take_error();
    if (linker.linkInModule(std::move(*loaded)))
      return refusal(*linked[i].record, "it cannot be linked to the kernel");
  }
  return {};
}

void lower_function_tables(llvm::Module& module, const LinkedFunctions& linked) {
  llvm::SmallVector<llvm::Function*, 8> functions;
  for (size_t i = 0; i < linked.size(); ++i)
    functions.push_back(module.getFunction(kName + std::to_string(i)));
  llvm::SmallVector<llvm::CallInst*, 8> lookups, calls;
  for (llvm::Function& function : module)
    for (llvm::Instruction& instruction : llvm::instructions(function)) {
      auto* call = llvm::dyn_cast<llvm::CallInst>(&instruction);
      if (!call || call->isInlineAsm()) continue;
      const llvm::Function* callee = call->getCalledFunction();
      if (!callee)
        calls.push_back(call);
      else if (callee->getName().starts_with(kLookup) && is_lookup(*call))
        lookups.push_back(call);
    }
  for (llvm::CallInst* call : lookups) lower_lookup(*call);
  for (llvm::CallInst* call : calls) lower_call(*call, functions);
}

}  // namespace mfa::air
