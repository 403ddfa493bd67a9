// SPDX-License-Identifier: MIT
// Function-constant values -> initialisers of the module's globals, before anything is folded.
#include "air/constants.h"

#include <llvm/IR/Constants.h>
#include <llvm/IR/DerivedTypes.h>
#include <llvm/IR/GlobalVariable.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Instructions.h>
#include <llvm/IR/Module.h>

namespace mfa::air {
namespace {

// MTLDataType numbers; the 2-, 3- and 4-vectors of each follow it.
constexpr struct {
  const char* name;
  uint8_t type;
} kScalars[] = {{"float", 3},  {"half", 16},   {"int", 29},   {"uint", 33},
                {"short", 37}, {"ushort", 41}, {"char", 45},  {"uchar", 49},
                {"bool", 53},  {"long", 81},   {"ulong", 85}, {"bfloat", 121}};

std::string type_text(uint8_t type) {
  for (const auto& scalar : kScalars) {
    if (type == scalar.type) return scalar.name;
    if (type > scalar.type && type < scalar.type + 4)
      return scalar.name + std::to_string(type - scalar.type + 1);
  }
  return "MTLDataType " + std::to_string(type);
}

llvm::Constant* element(const uint8_t* bytes, llvm::Type* type) {
  const unsigned width = type->getScalarSizeInBits();
  uint64_t bits = 0;
  for (unsigned i = 0; i < (width + 7) / 8; ++i) bits |= uint64_t(bytes[i]) << 8 * i;
  const llvm::APInt value(width, bits);
  if (type->isIntegerTy()) return llvm::ConstantInt::get(type, value);
  return llvm::ConstantFP::get(type, llvm::APFloat(type->getFltSemantics(), value));
}

/// Null if a global of this type cannot hold a function constant.
llvm::Constant* initializer(const ConstantValue& value, llvm::Type* type) {
  const auto scalar_ok = [](llvm::Type* t) {
    return (t->isIntegerTy() && t->getIntegerBitWidth() <= 64) || t->isFloatTy() || t->isHalfTy() ||
           t->isBFloatTy();
  };
  if (scalar_ok(type)) return element(value.bytes.data(), type);
  const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type);
  if (!vector || vector->getNumElements() > 4 || !scalar_ok(vector->getElementType()))
    return nullptr;
  std::vector<llvm::Constant*> elements;
  const unsigned size = (vector->getScalarSizeInBits() + 7) / 8;
  for (unsigned i = 0; i < vector->getNumElements(); ++i)
    elements.push_back(element(value.bytes.data() + i * size, vector->getElementType()));
  return llvm::ConstantVector::get(elements);
}

const ConstantValue* find(const ConstantValues& values, const Constant& constant) {
  const auto named = values.by_name.find(constant.name);
  if (named != values.by_name.end()) return &named->second;
  const auto indexed = values.by_index.find(constant.index);
  return indexed == values.by_index.end() ? nullptr : &indexed->second;
}

void replace_calls(llvm::Module& module, llvm::StringRef name,
                   llvm::function_ref<llvm::Value*(llvm::CallInst&)> value) {
  llvm::Function* function = module.getFunction(name);
  if (!function) return;
  for (llvm::User* user : llvm::make_early_inc_range(function->users())) {
    auto* call = llvm::dyn_cast<llvm::CallInst>(user);
    if (!call || call->getCalledFunction() != function) continue;
    call->replaceAllUsesWith(value(*call));
    call->eraseFromParent();
  }
}

}  // namespace

uint8_t data_type(const std::string& name) {
  for (const auto& scalar : kScalars) {
    const std::string base = scalar.name;
    if (name == base) return scalar.type;
    if (name.size() == base.size() + 1 && name.compare(0, base.size(), base) == 0 &&
        name.back() >= '2' && name.back() <= '4')
      return uint8_t(scalar.type + (name.back() - '1'));
  }
  return 0;
}

Result<void> bind_constants(llvm::Module& module, const KernelMetadata& metadata,
                            const ConstantValues& values, const FunctionRecord& record) {
  std::map<const llvm::Value*, bool> defined;
  for (size_t i = 0; i < metadata.initializers.size(); ++i) {
    const Constant& constant = metadata.reflection.constants[i];
    llvm::GlobalVariable* global = metadata.initializers[i];
    const std::string label =
        "function constant '" + constant.name + "' at index " + std::to_string(constant.index);
    const ConstantValue* value = find(values, constant);
    defined[global] = value != nullptr;
    if (!value && constant.required)
      return refusal(record, label + " of type " + constant.type + " has no value");
    if (value && value->type != data_type(constant.type))
      return refusal(record, label + " needs a value of type " + constant.type + ", got " +
                                 type_text(value->type));
    llvm::Constant* initial = value ? initializer(*value, global->getValueType())
                                    : llvm::Constant::getNullValue(global->getValueType());
    if (!initial) return refusal(record, label + " has the unsupported type " + constant.type);
    global->setInitializer(initial);
    global->setExternallyInitialized(false);
    global->setConstant(true);
    global->setSection("");
  }
  llvm::IRBuilder<> builder(module.getContext());
  replace_calls(module, "air.is_function_constant_defined", [&](llvm::CallInst& call) {
    const auto found = defined.find(call.getArgOperand(0)->stripPointerCasts());
    return builder.getInt1(found != defined.end() && found->second);
  });
  replace_calls(module, "air.normalize_function_constant_predicate.i8", [&](llvm::CallInst& call) {
    builder.SetInsertPoint(&call);
    return builder.CreateZExt(builder.CreateIsNotNull(call.getArgOperand(0)), call.getType());
  });
  return {};
}

std::vector<llvm::Function*> constructors(const llvm::Module& module) {
  std::vector<llvm::Function*> functions;
  const auto* list = module.getGlobalVariable("llvm.global_ctors");
  if (!list || !list->hasInitializer()) return functions;
  for (const llvm::Use& entry : list->getInitializer()->operands()) {
    const auto* fields = llvm::dyn_cast<llvm::ConstantStruct>(entry.get());
    if (!fields || fields->getNumOperands() < 2) continue;
    auto* function = llvm::dyn_cast<llvm::Function>(fields->getOperand(1)->stripPointerCasts());
    if (function && !function->isDeclaration()) functions.push_back(function);
  }
  return functions;
}

Result<void> settle_predicates(llvm::Module& module, KernelMetadata& metadata,
                               const FunctionRecord& record) {
  if (auto* constructors = module.getGlobalVariable("llvm.global_ctors")) {
    if (constructors->hasInitializer() && !constructors->getInitializer()->isNullValue())
      return refusal(record,
                     "the initialisers of its constants cannot be evaluated before it runs");
    constructors->eraseFromParent();
  }
  for (size_t i = 0; i < metadata.predicates.size(); ++i) {
    Argument& argument = metadata.reflection.arguments[i];
    if (argument.predicate.empty()) continue;
    const llvm::GlobalVariable* predicate = metadata.predicates[i];
    if (!predicate || !predicate->hasInitializer() ||
        !llvm::isa<llvm::ConstantInt>(predicate->getInitializer()))
      return refusal(record, "the predicate of argument '" + argument.name + "' is not a constant");
    argument.active = !predicate->getInitializer()->isNullValue();
  }
  for (const char* name : {"llvm.compiler.used", "llvm.used"})
    if (auto* used = module.getGlobalVariable(name)) used->eraseFromParent();
  // Nothing writes the constant address space once the constructors are gone.
  for (llvm::GlobalVariable& global : module.globals())
    if (global.getAddressSpace() == 2) global.setConstant(true);
  return {};
}

}  // namespace mfa::air
