// SPDX-License-Identifier: MIT
// Function constants: `constant bool x [[function_constant(3)]]` and what is computed from them.
#include "metalc/constants.h"

#include <set>

#include "llvm/ADT/StringSwitch.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/Transforms/Utils/Cloning.h"
#include "llvm/Transforms/Utils/ModuleUtils.h"
#include "metalc/target.h"

namespace mfa::metalc {
namespace {

uint8_t data_type(llvm::StringRef name) {
  unsigned length = 1;
  if (name.back() >= '2' && name.back() <= '4') {
    length = static_cast<unsigned>(name.back() - '0');
    name = name.drop_back();
  }
  unsigned scalar = llvm::StringSwitch<unsigned>(name)
                        .Case("float", 3)
                        .Case("half", 16)
                        .Case("int", 29)
                        .Case("uint", 33)
                        .Case("short", 37)
                        .Case("ushort", 41)
                        .Case("char", 45)
                        .Case("uchar", 49)
                        .Case("bool", 53)
                        .Case("long", 81)
                        .Case("ulong", 85)
                        .Case("bfloat", 121)
                        .Default(0);
  return static_cast<uint8_t>(scalar + length - 1);
}

void add_globals(const llvm::Value* value, std::set<llvm::GlobalVariable*>& globals) {
  if (auto* variable = llvm::dyn_cast<llvm::GlobalVariable>(value)) {
    globals.insert(const_cast<llvm::GlobalVariable*>(variable));
    return;
  }
  if (!llvm::isa<llvm::ConstantExpr>(value) && !llvm::isa<llvm::ConstantAggregate>(value)) return;
  for (const llvm::Use& use : llvm::cast<llvm::Constant>(value)->operands())
    add_globals(use.get(), globals);
}

void add_globals(const llvm::Function& function, std::set<llvm::GlobalVariable*>& globals) {
  for (const llvm::BasicBlock& block : function)
    for (const llvm::Instruction& instruction : block)
      for (const llvm::Use& use : instruction.operands()) add_globals(use.get(), globals);
}

std::set<llvm::GlobalVariable*> stored_globals(const llvm::Function& function) {
  std::set<llvm::GlobalVariable*> result;
  for (const llvm::BasicBlock& block : function)
    for (const llvm::Instruction& instruction : block)
      if (const auto* store = llvm::dyn_cast<llvm::StoreInst>(&instruction))
        add_globals(store->getPointerOperand(), result);
  return result;
}

// clang's constructor calls one function per variable, in order of definition.
std::vector<llvm::Function*> take_initializers(llvm::Module& module) {
  std::vector<llvm::Function*> result;
  llvm::GlobalVariable* list = module.getGlobalVariable("llvm.global_ctors");
  if (!list) return result;
  if (auto* entries = llvm::dyn_cast<llvm::ConstantArray>(list->getInitializer())) {
    for (const llvm::Use& entry : entries->operands()) {
      auto* function = llvm::dyn_cast<llvm::Function>(
          llvm::cast<llvm::ConstantStruct>(entry)->getOperand(1)->stripPointerCasts());
      if (!function) continue;
      bool calls = false;
      for (llvm::BasicBlock& block : *function) {
        for (llvm::Instruction& instruction : block) {
          auto* call = llvm::dyn_cast<llvm::CallInst>(&instruction);
          llvm::Function* callee = call ? call->getCalledFunction() : nullptr;
          if (!callee || callee->isDeclaration()) continue;
          result.push_back(callee);
          calls = true;
        }
      }
      if (!calls) result.push_back(function);
    }
  }
  list->eraseFromParent();
  return result;
}

class Binder {
 public:
  Binder(llvm::Module& module, llvm::Function& function, const Kernel& kernel, const Unit& unit)
      : module_(module),
        function_(function),
        kernel_(kernel),
        unit_(unit),
        context_(module.getContext()) {}

  BoundConstants run() {
    std::vector<llvm::Function*> initializers = needed_initializers();
    llvm::BasicBlock* block = nullptr;
    for (const FunctionConstant& constant : unit_.constants) {
      llvm::GlobalVariable* mirror = module_.getGlobalVariable(constant.symbol);
      if (mirror && needed_.count(mirror)) block = add_constant(block, constant, *mirror);
    }
    if (!initializers.empty()) block = begin(block);
    for (llvm::Function* initializer : initializers)
      llvm::IRBuilder<>(block).CreateCall(initializer);
    add_predicates(block);
    for (llvm::Function* initializer : initializers) inline_all(*initializer);
    finish(block);
    replace_tests();
    write_metadata();
    return std::move(result_);
  }

 private:
  llvm::BasicBlock* begin(llvm::BasicBlock* block) {
    if (block) return block;
    auto* type = llvm::FunctionType::get(llvm::Type::getVoidTy(context_), false);
    constructor_ = llvm::Function::Create(type, llvm::GlobalValue::InternalLinkage,
                                          "_GLOBAL__sub_I_" + unit_.file, module_);
    constructor_->setSection("air.static_init");
    constructor_->setDoesNotThrow();
    return llvm::BasicBlock::Create(context_, "", constructor_);
  }

  // The initialisers of everything the kernel reads, directly or through another one.
  std::vector<llvm::Function*> needed_initializers() {
    std::vector<llvm::Function*> all = take_initializers(module_);
    add_globals(function_, needed_);
    for (const Argument& argument : kernel_.arguments) {
      if (!argument.predicate.empty()) needed_.insert(guard(argument.predicate));
    }
    std::set<llvm::Function*> chosen;
    for (bool more = true; more;) {
      more = false;
      for (llvm::Function* initializer : all) {
        if (chosen.count(initializer)) continue;
        for (llvm::GlobalVariable* variable : stored_globals(*initializer)) {
          if (!needed_.count(variable)) continue;
          chosen.insert(initializer);
          add_globals(*initializer, needed_);
          more = true;
          break;
        }
      }
    }
    std::vector<llvm::Function*> result;
    for (llvm::Function* initializer : all)
      if (chosen.count(initializer)) result.push_back(initializer);
    return result;
  }

  // A function constant that only guards arguments is used nowhere in the code.
  llvm::GlobalVariable* guard(const std::string& symbol) {
    llvm::GlobalVariable* variable = module_.getGlobalVariable(symbol, true);
    if (variable) return variable;
    return new llvm::GlobalVariable(module_, llvm::Type::getInt8Ty(context_), true,
                                    llvm::GlobalValue::ExternalLinkage, nullptr, symbol, nullptr,
                                    llvm::GlobalValue::NotThreadLocal, as_constant);
  }

  llvm::BasicBlock* add_constant(llvm::BasicBlock* block, const FunctionConstant& constant,
                                 llvm::GlobalVariable& source) {
    // metal::vec is a structure around the vector that AIR wants to see.
    llvm::Type* type = source.getValueType();
    if (auto* wrapper = llvm::dyn_cast<llvm::StructType>(type)) type = wrapper->getElementType(0);
    auto& mirror = *new llvm::GlobalVariable(
        module_, type, false, llvm::GlobalValue::InternalLinkage, llvm::UndefValue::get(type), "",
        &source, llvm::GlobalValue::NotThreadLocal, as_constant);
    mirror.setAlignment(source.getAlign());
    source.replaceAllUsesWith(&mirror);
    source.eraseFromParent();
    std::string length = std::to_string(constant.name.size());
    auto* initializer = new llvm::GlobalVariable(
        module_, type, true, llvm::GlobalValue::InternalLinkage, llvm::UndefValue::get(type),
        "_Z" + length + constant.name + ".MTL_FC_INIT_" + std::to_string(constant.index) + "_" +
            constant.code,
        nullptr, llvm::GlobalValue::NotThreadLocal, as_constant, true);
    initializer->setSection("air.fc_initializer");
    initializer->setAlignment(mirror.getAlign());
    mirror.setName("_ZL" + length + constant.name);
    block = begin(block);
    llvm::IRBuilder<> builder(block);
    builder.CreateStore(builder.CreateLoad(type, initializer), &mirror);
    bound_.push_back({&constant, initializer, &mirror, true});
    return block;
  }

  void add_predicates(llvm::BasicBlock*& block) {
    std::map<llvm::GlobalVariable*, llvm::GlobalVariable*> made;
    llvm::Type* byte = llvm::Type::getInt8Ty(context_);
    for (const Argument& argument : kernel_.arguments) {
      result_.predicates.push_back(nullptr);
      if (argument.predicate.empty()) continue;
      llvm::GlobalVariable* source = module_.getGlobalVariable(argument.predicate, true);
      for (const Bound& bound : bound_)
        if (bound.constant->symbol == argument.predicate) source = bound.mirror;
      if (source->isDeclaration())
        result_.error = "the condition of argument '" + argument.name + "' has no value";
      llvm::GlobalVariable*& predicate = made[source];
      if (!predicate) {
        predicate =
            new llvm::GlobalVariable(module_, byte, false, llvm::GlobalValue::InternalLinkage,
                                     llvm::ConstantInt::get(byte, 0),
                                     "__metal_implicit_fc_pred_" + std::to_string(made.size() - 1),
                                     nullptr, llvm::GlobalValue::NotThreadLocal, as_constant);
        predicate->setAlignment(llvm::Align(1));
        block = begin(block);
        llvm::IRBuilder<> builder(block);
        auto normalize =
            module_.getOrInsertFunction("air.normalize_function_constant_predicate.i8", byte, byte);
        llvm::Value* value = builder.CreateLoad(byte, source);
        builder.CreateStore(builder.CreateCall(normalize, {value}), predicate);
      }
      result_.predicates.back() = predicate;
    }
    std::vector<llvm::GlobalValue*> keep;
    for (auto& entry : made) keep.push_back(entry.second);
    if (!keep.empty()) llvm::appendToCompilerUsed(module_, keep);
  }

  void inline_all(llvm::Function& initializer) {
    for (llvm::User* user : llvm::make_early_inc_range(initializer.users())) {
      llvm::InlineFunctionInfo info;
      auto* call = llvm::dyn_cast<llvm::CallInst>(user);
      if (call && call->getFunction() == constructor_) (void)llvm::InlineFunction(*call, info);
    }
  }

  void finish(llvm::BasicBlock* block) {
    llvm::Type* pointer = llvm::PointerType::getUnqual(context_);
    auto* entry = llvm::StructType::get(llvm::Type::getInt32Ty(context_), pointer, pointer);
    if (block) {
      llvm::ReturnInst::Create(context_, &constructor_->back());
      llvm::appendToGlobalCtors(module_, constructor_, 65535);
      return;
    }
    auto* none = llvm::ArrayType::get(entry, 0);
    new llvm::GlobalVariable(module_, none, false, llvm::GlobalValue::AppendingLinkage,
                             llvm::ConstantArray::get(none, {}), "llvm.global_ctors");
  }

  // The question is about the value given to the pipeline, so it is asked of the initialiser.
  void replace_tests() {
    llvm::Function* test = module_.getFunction("air.is_function_constant_defined");
    if (!test) return;
    for (llvm::User* user : llvm::make_early_inc_range(test->users())) {
      auto* call = llvm::dyn_cast<llvm::CallInst>(user);
      if (!call || (call->getFunction() != &function_ && call->getFunction() != constructor_))
        continue;
      bool found = false;
      for (Bound& bound : bound_) {
        if (call->getArgOperand(0)->stripPointerCasts() != bound.mirror) continue;
        call->setArgOperand(0, bound.initializer);
        bound.required = false;
        found = true;
      }
      if (!found)
        result_.error = "the argument of is_function_constant_defined must be a function constant";
    }
  }

  void write_metadata() {
    for (const Bound& bound : bound_) {
      const FunctionConstant& constant = *bound.constant;
      llvm::Metadata* fields[] = {
          llvm::ValueAsMetadata::get(bound.initializer),
          llvm::MDString::get(context_, constant.type),
          llvm::MDString::get(context_, constant.name),
          llvm::ConstantAsMetadata::get(
              llvm::ConstantInt::get(llvm::Type::getInt32Ty(context_), constant.index)),
          llvm::ConstantAsMetadata::get(llvm::ConstantInt::getBool(context_, bound.required))};
      module_.getOrInsertNamedMetadata("air.function_constants")
          ->addOperand(llvm::MDNode::get(context_, fields));
      result_.records.push_back({constant.name, data_type(constant.type),
                                 static_cast<uint16_t>(constant.index), bound.required});
    }
  }

  struct Bound {
    const FunctionConstant* constant;
    llvm::GlobalVariable* initializer;
    llvm::GlobalVariable* mirror;
    bool required;
  };
  llvm::Module& module_;
  llvm::Function& function_;
  const Kernel& kernel_;
  const Unit& unit_;
  llvm::LLVMContext& context_;
  llvm::Function* constructor_ = nullptr;
  std::set<llvm::GlobalVariable*> needed_;
  std::vector<Bound> bound_;
  BoundConstants result_;
};

}  // namespace

BoundConstants bind_constants(llvm::Module& module, llvm::Function& function, const Kernel& kernel,
                              const Unit& unit) {
  return Binder(module, function, kernel, unit).run();
}

}  // namespace mfa::metalc
