// SPDX-License-Identifier: MIT
// The !air.kernel and !air.function_constants metadata of a module -> a Reflection.
#include "air/reflect.h"

#include <llvm/IR/Constants.h>
#include <llvm/IR/GlobalVariable.h>
#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/Module.h>

#include "air/specialize.h"

namespace mfa::air {
namespace {

/// Reads the operands of a node one after the other. A missing or differently typed operand reads
/// as empty, so malformed metadata ends in a refusal and not in a crash.
class Operands {
 public:
  explicit Operands(const llvm::MDNode* node) : node_(node) {}
  bool done() const { return !node_ || at_ >= node_->getNumOperands(); }
  llvm::StringRef string() {
    const auto* value = llvm::dyn_cast_or_null<llvm::MDString>(next());
    return value ? value->getString() : llvm::StringRef();
  }
  uint32_t number() {
    const auto* value = llvm::mdconst::dyn_extract_or_null<llvm::ConstantInt>(next());
    return value ? uint32_t(value->getLimitedValue(UINT32_MAX)) : 0;
  }
  const llvm::MDNode* node() { return llvm::dyn_cast_or_null<llvm::MDNode>(next()); }
  llvm::GlobalVariable* global() {
    return llvm::mdconst::dyn_extract_or_null<llvm::GlobalVariable>(next());
  }

 private:
  const llvm::Metadata* next() { return done() ? nullptr : node_->getOperand(at_++).get(); }
  const llvm::MDNode* node_;
  unsigned at_ = 0;
};

bool read_access(llvm::StringRef key, Argument& argument) {
  if (key == "air.read" || key == "air.sample")
    argument.access = Argument::Access::read;
  else if (key == "air.write")
    argument.access = Argument::Access::write;
  else if (key == "air.read_write")
    argument.access = Argument::Access::read_write;
  else
    return false;
  return true;
}

bool read_kind(llvm::StringRef key, Argument& argument) {
  using Kind = Argument::Kind;
  if (key == "air.buffer")
    argument.kind = Kind::buffer;
  else if (key == "air.indirect_buffer")
    argument.kind = Kind::buffer, argument.indirect = true;
  else if (key == "air.texture")
    argument.kind = Kind::texture;
  else if (key == "air.sampler")
    argument.kind = Kind::sampler;
  else if (key.ends_with("_function_table"))
    argument.kind = Kind::function_table, argument.table = key == "air.visible_function_table";
  else
    return false;
  return true;
}

Argument read_argument(const llvm::MDNode* node, llvm::GlobalVariable*& predicate) {
  Operands operands(node);
  Argument argument;
  argument.parameter = operands.number();
  bool kind_known = false;
  while (!operands.done()) {
    const llvm::StringRef key = operands.string();
    if (key == "air.function_constant") {
      Operands guard(operands.node());
      predicate = guard.global();
      guard.string();  // the type name, always bool
      argument.predicate = guard.string().str();
    } else if (key == "air.buffer_size") {
      argument.buffer_size = operands.number();
    } else if (key == "air.location_index") {
      argument.slot = operands.number();
      operands.number();  // how many slots; more than one for arrays of textures only
    } else if (key == "air.address_space") {
      argument.address_space = operands.number();
    } else if (key == "air.struct_type_info") {
      operands.node();
    } else if (key == "air.arg_type_size") {
      argument.type_size = operands.number();
    } else if (key == "air.arg_type_align_size") {
      argument.type_align = operands.number();
    } else if (key == "air.arg_type_name") {
      argument.type_name = operands.string().str();
    } else if (key == "air.arg_name") {
      argument.name = operands.string().str();
    } else if (key == "air.arg_unused") {
      argument.unused = true;
    } else if (read_access(key, argument)) {
    } else if (!kind_known && key.starts_with("air.")) {
      kind_known = true;
      if (read_kind(key, argument)) continue;
      argument.kind = Argument::Kind::builtin;
      argument.builtin = key.str();
    }
  }
  if (argument.kind == Argument::Kind::buffer && argument.address_space == 3)
    argument.kind = Argument::Kind::threadgroup;
  return argument;
}

}  // namespace

Result<KernelMetadata> read_metadata(const Loaded& loaded, const FunctionRecord& record) {
  KernelMetadata metadata;
  Reflection& reflection = metadata.reflection;
  reflection.name = record.name;

  Operands arguments(llvm::dyn_cast_or_null<llvm::MDNode>(loaded.entry->getOperand(2).get()));
  while (!arguments.done()) {
    const llvm::MDNode* node = arguments.node();
    if (!node) return refusal(record, "its argument metadata is malformed");
    llvm::GlobalVariable* predicate = nullptr;
    reflection.arguments.push_back(read_argument(node, predicate));
    metadata.predicates.push_back(predicate);
    const Argument& argument = reflection.arguments.back();
    if (argument.parameter != reflection.arguments.size() - 1)
      return refusal(record, "its argument metadata is not in the order of the parameters");
  }
  if (reflection.arguments.size() != loaded.kernel->arg_size())
    return refusal(record, "it has " + std::to_string(loaded.kernel->arg_size()) +
                               " parameters but metadata for " +
                               std::to_string(reflection.arguments.size()));

  for (unsigned i = 3; i < loaded.entry->getNumOperands(); ++i) {
    Operands option(llvm::dyn_cast_or_null<llvm::MDNode>(loaded.entry->getOperand(i).get()));
    if (option.string() == "air.max_work_group_size")
      reflection.max_total_threads = option.number();
  }

  if (const auto* constants = loaded.module->getNamedMetadata("air.function_constants")) {
    for (const llvm::MDNode* node : constants->operands()) {
      Operands operands(node);
      llvm::GlobalVariable* global = operands.global();
      Constant constant;
      constant.type = operands.string().str();
      constant.name = operands.string().str();
      constant.index = operands.number();
      constant.required = operands.number() != 0;
      if (!global) return refusal(record, "its function-constant metadata is malformed");
      metadata.initializers.push_back(global);
      reflection.constants.push_back(std::move(constant));
    }
  }
  return metadata;
}

Result<Reflection> reflect(const FunctionRecord& record) {
  llvm::LLVMContext context;
  auto loaded = load(record, context);
  if (!loaded) return loaded.take_error();
  auto metadata = read_metadata(*loaded, record);
  if (!metadata) return metadata.take_error();
  return std::move(metadata->reflection);
}

}  // namespace mfa::air
