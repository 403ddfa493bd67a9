// SPDX-License-Identifier: MIT
// Wraps a kernel as clang compiled it into a function that takes vectors as values.
#include "metalc/wrapper.h"

#include "llvm/IR/IRBuilder.h"
#include "metalc/target.h"

namespace mfa::metalc {
namespace {

// "uint3" -> <3 x i32>, "ushort" -> i16.
llvm::Type* builtin_type(llvm::LLVMContext& context, llvm::StringRef name) {
  unsigned length = 1;
  if (name.back() >= '2' && name.back() <= '4') {
    length = static_cast<unsigned>(name.back() - '0');
    name = name.drop_back();
  }
  llvm::Type* scalar = llvm::Type::getIntNTy(context, name == "ushort" ? 16 : 32);
  return length == 1 ? scalar : llvm::FixedVectorType::get(scalar, length);
}

void add_attributes(llvm::Function& function, bool fast_math) {
  function.setDoesNotThrow();
  function.addFnAttr(llvm::Attribute::MustProgress);
  function.addFnAttr("frame-pointer", "all");
  function.addFnAttr("min-legal-vector-width", "0");
  function.addFnAttr("no-builtins");
  function.addFnAttr("no-trapping-math", "true");
  function.addFnAttr("stack-protector-buffer-size", "8");
  if (!fast_math) return;
  for (const char* name : {"approx-func-fp-math", "no-infs-fp-math", "no-nans-fp-math",
                           "no-signed-zeros-fp-math", "unsafe-fp-math"})
    function.addFnAttr(name, "true");
}

}  // namespace

llvm::Function* add_wrapper(llvm::Module& module, const Kernel& kernel, bool fast_math) {
  llvm::Function* inner = module.getFunction(kernel.symbol);
  if (!inner || inner->isDeclaration() || inner->arg_size() != kernel.arguments.size())
    return nullptr;
  llvm::LLVMContext& context = module.getContext();
  std::vector<llvm::Type*> types;
  for (unsigned i = 0; i < kernel.arguments.size(); ++i) {
    const Argument& argument = kernel.arguments[i];
    types.push_back(argument.builtin ? builtin_type(context, argument.type)
                                     : inner->getArg(i)->getType());
  }
  auto* type = llvm::FunctionType::get(llvm::Type::getVoidTy(context), types, false);
  inner->setName("inner." + kernel.symbol);
  auto linkage = kernel.explicit_instantiation ? llvm::GlobalValue::WeakODRLinkage
                                               : llvm::GlobalValue::ExternalLinkage;
  auto* outer = llvm::Function::Create(type, linkage, kernel.name, module);
  outer->setUnnamedAddr(llvm::GlobalValue::UnnamedAddr::Local);
  add_attributes(*outer, fast_math);
  if (kernel.max_threads)
    outer->addFnAttr("max-work-group-size", std::to_string(kernel.max_threads));

  llvm::IRBuilder<> builder(llvm::BasicBlock::Create(context, "", outer));
  std::vector<llvm::Value*> values;
  for (unsigned i = 0; i < kernel.arguments.size(); ++i) {
    const Argument& argument = kernel.arguments[i];
    llvm::Argument* parameter = outer->getArg(i);
    parameter->setName(argument.name);
    parameter->addAttr(llvm::Attribute::NoUndef);
    if (!argument.builtin) {
      parameter->addAttr(llvm::Attribute::get(context, "air-buffer-no-alias"));
      if (argument.sized && argument.size) {
        parameter->addAttr(llvm::Attribute::getWithAlignment(context, llvm::Align(argument.align)));
        parameter->addAttr(llvm::Attribute::getWithDereferenceableBytes(context, argument.size));
      }
      values.push_back(parameter);
    } else if (inner->getArg(i)->getType()->isPointerTy()) {
      // clang passes metal::vec by reference to a copy.
      llvm::Type* object = inner->getParamByValType(i);
      llvm::Value* copy = builder.CreateAlloca(object ? object : parameter->getType());
      builder.CreateStore(parameter, copy);
      values.push_back(copy);
    } else {
      values.push_back(parameter);
    }
  }
  llvm::CallInst* call = builder.CreateCall(inner, values);
  call->setAttributes(inner->getAttributes());
  builder.CreateRetVoid();
  return outer;
}

}  // namespace mfa::metalc
