// SPDX-License-Identifier: MIT
// Writes !air.kernel with one complete node per argument, versions, options and limits.
#include "metalc/metadata.h"

#include "llvm/IR/Constants.h"

namespace mfa::metalc {
namespace {

class Writer {
 public:
  explicit Writer(llvm::Module& module) : module_(module), context_(module.getContext()) {}

  void flags() {
    if (llvm::NamedMDNode* old = module_.getModuleFlagsMetadata()) old->eraseFromParent();
    auto* sdk = llvm::ConstantDataArray::get(context_, llvm::ArrayRef<uint32_t>{14, 0});
    module_.addModuleFlag(llvm::Module::Warning, "SDK Version", sdk);
    module_.addModuleFlag(llvm::Module::Error, "wchar_size", 4);
    module_.addModuleFlag(llvm::Module::Max, "frame-pointer", 2);
    module_.addModuleFlag(llvm::Module::Max, "air.max_device_buffers", 31);
    module_.addModuleFlag(llvm::Module::Max, "air.max_constant_buffers", 31);
    module_.addModuleFlag(llvm::Module::Max, "air.max_threadgroup_buffers", 31);
    module_.addModuleFlag(llvm::Module::Max, "air.max_textures", 128);
    module_.addModuleFlag(llvm::Module::Max, "air.max_read_write_textures", 8);
    module_.addModuleFlag(llvm::Module::Max, "air.max_samplers", 16);
  }

  void versions(bool fast_math) {
    llvm::NamedMDNode* ident = module_.getOrInsertNamedMetadata("llvm.ident");
    ident->clearOperands();
    ident->addOperand(node({text("mfa-metalc")}));
    module_.getOrInsertNamedMetadata("air.version")
        ->addOperand(node({number(2), number(6), number(0)}));
    module_.getOrInsertNamedMetadata("air.language_version")
        ->addOperand(node({text("Metal"), number(3), number(1), number(0)}));
    llvm::NamedMDNode* options = module_.getOrInsertNamedMetadata("air.compile_options");
    options->addOperand(node({text("air.compile.denorms_disable")}));
    options->addOperand(
        node({text(fast_math ? "air.compile.fast_math_enable" : "air.compile.fast_math_disable")}));
    options->addOperand(node({text("air.compile.framebuffer_fetch_enable")}));
  }

  void kernel(llvm::Function& function, const Kernel& kernel,
              const std::vector<llvm::GlobalVariable*>& predicates) {
    std::vector<llvm::Metadata*> arguments;
    for (unsigned i = 0; i < kernel.arguments.size(); ++i)
      arguments.push_back(
          argument(i, kernel.arguments[i], predicates[i], function.getArg(i)->use_empty()));
    std::vector<llvm::Metadata*> fields = {llvm::ValueAsMetadata::get(&function), node({}),
                                           node(arguments)};
    if (kernel.max_threads)
      fields.push_back(node({text("air.max_work_group_size"), number(kernel.max_threads)}));
    module_.getOrInsertNamedMetadata("air.kernel")->addOperand(node(fields));
  }

 private:
  llvm::MDNode* node(llvm::ArrayRef<llvm::Metadata*> fields) {
    return llvm::MDNode::get(context_, fields);
  }
  llvm::Metadata* text(llvm::StringRef value) { return llvm::MDString::get(context_, value); }
  llvm::Metadata* number(uint32_t value) {
    return llvm::ConstantAsMetadata::get(
        llvm::ConstantInt::get(llvm::Type::getInt32Ty(context_), value));
  }

  llvm::Metadata* structure(const std::vector<Member>& members) {
    std::vector<llvm::Metadata*> fields;
    for (const Member& member : members) {
      for (uint32_t value : {member.offset, member.size, member.array_length})
        fields.push_back(number(value));
      fields.push_back(text(member.type));
      fields.push_back(text(member.name));
      if (member.members.empty()) continue;
      fields.push_back(text("air.struct_type_info"));
      fields.push_back(structure(member.members));
    }
    return node(fields);
  }

  // The order of the fields is fixed: readers of Apple's own go by it.
  llvm::Metadata* argument(unsigned index, const Argument& argument,
                           llvm::GlobalVariable* predicate, bool unused) {
    std::vector<llvm::Metadata*> fields = {number(index)};
    auto add = [&](llvm::StringRef key, llvm::Metadata* value) {
      fields.push_back(text(key));
      fields.push_back(value);
    };
    if (predicate) {
      add("air.function_constant", node({llvm::ValueAsMetadata::get(predicate), text("bool"),
                                         text(argument.predicate_name)}));
    }
    fields.push_back(text(argument.kind));
    if (!argument.builtin) {
      if (argument.sized) add("air.buffer_size", number(argument.size));
      add("air.location_index", number(argument.slot));
      fields.push_back(number(1));
      fields.push_back(text(argument.writable ? "air.read_write" : "air.read"));
      add("air.address_space", number(argument.address_space));
      if (!argument.members.empty()) add("air.struct_type_info", structure(argument.members));
      if (argument.size) {
        add("air.arg_type_size", number(argument.size));
        add("air.arg_type_align_size", number(argument.align));
      }
    }
    add("air.arg_type_name", text(argument.type));
    add("air.arg_name", text(argument.name));
    if (unused) fields.push_back(text("air.arg_unused"));
    return node(fields);
  }

  llvm::Module& module_;
  llvm::LLVMContext& context_;
};

}  // namespace

void write_metadata(llvm::Module& module, llvm::Function& function, const Kernel& kernel,
                    const std::vector<llvm::GlobalVariable*>& predicates, bool fast_math) {
  Writer writer(module);
  writer.flags();
  writer.kernel(function, kernel, predicates);
  writer.versions(fast_math);
}

}  // namespace mfa::metalc
