// SPDX-License-Identifier: MIT
// LLVM IR -> bitcode in a metallib -> reflection and the canonical form, or a refusal.
//
// An input is IR as text. The mutator changes modules, not bytes: instructions, types of
// parameters, and the metadata that Apple's compiler writes and a stranger may have changed. Bytes
// that are no bitcode meet LLVM's reader, not our code: docs/decisions/untrusted-bitcode.md.
#include <llvm/AsmParser/Parser.h>
#include <llvm/Bitcode/BitcodeWriter.h>
#include <llvm/ExecutionEngine/Orc/JITTargetMachineBuilder.h>
#include <llvm/FuzzMutate/IRMutator.h>
#include <llvm/IR/Constants.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/Verifier.h>
#include <llvm/Support/SourceMgr.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Target/TargetMachine.h>

#include <cstring>
#include <random>

#include "air/specialize.h"

namespace {

using Random = std::mt19937;

std::unique_ptr<llvm::Module> parse(const uint8_t* data, size_t size, llvm::LLVMContext& context) {
  llvm::SMDiagnostic problem;
  const std::string text(reinterpret_cast<const char*>(data), size);
  auto module = llvm::parseAssemblyString(text, problem, context);
  if (!module || llvm::verifyModule(*module)) return nullptr;
  return module;
}

std::vector<uint8_t> bitcode_of(const llvm::Module& module) {
  llvm::SmallString<0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  llvm::WriteBitcodeToFile(module, stream);
  return {bytes.begin(), bytes.end()};
}

bool same(const std::string& text, const uint8_t* data, size_t size) {
  return text.size() == size && memcmp(text.data(), data, size) == 0;
}

/// What the mutator made last, which is what runs next: nobody has to parse it again.
struct {
  std::string text;
  std::vector<uint8_t> bitcode;
} made;

/// All nodes below `node`, each once.
void collect(llvm::MDNode* node, llvm::SmallVectorImpl<llvm::MDNode*>& nodes) {
  if (!node || llvm::is_contained(nodes, node)) return;
  nodes.push_back(node);
  for (const llvm::MDOperand& operand : node->operands())
    collect(llvm::dyn_cast_or_null<llvm::MDNode>(operand.get()), nodes);
}

/// Something else in place of an operand: nothing, another operand, a number, a name.
llvm::Metadata* other(llvm::ArrayRef<llvm::MDNode*> nodes, llvm::LLVMContext& context,
                      Random& random) {
  static const char* const names[] = {"air.buffer",
                                      "air.texture",
                                      "air.sampler",
                                      "air.indirect_buffer",
                                      "air.location_index",
                                      "air.address_space",
                                      "air.function_constant",
                                      "air.arg_name",
                                      "air.read_write",
                                      "air.struct_type_info",
                                      "air.thread_position_in_grid",
                                      "air.thread_index_in_simdgroup",
                                      "air.visible_function_table",
                                      "air.max_work_group_size",
                                      "air.no_such_thing",
                                      ""};
  auto* i32 = llvm::Type::getInt32Ty(context);
  switch (random() % 5) {
    case 0:
      return nullptr;
    case 1:
      return llvm::MDString::get(context, names[random() % std::size(names)]);
    case 2:
      return llvm::ConstantAsMetadata::get(llvm::ConstantInt::get(i32, random() % 40));
    case 3:
      return llvm::ConstantAsMetadata::get(llvm::ConstantInt::get(i32, random()));
    default: {
      llvm::MDNode* from = nodes[random() % nodes.size()];
      if (random() % 4 == 0 || from->getNumOperands() == 0) return from;
      return from->getOperand(random() % from->getNumOperands());
    }
  }
}

void change_metadata(llvm::Module& module, Random& random) {
  llvm::SmallVector<llvm::NamedMDNode*, 8> named;
  for (llvm::NamedMDNode& node : module.named_metadata()) named.push_back(&node);
  if (named.empty()) return;
  llvm::NamedMDNode* chosen = named[random() % named.size()];
  llvm::SmallVector<llvm::MDNode*, 32> nodes;
  for (llvm::MDNode* node : chosen->operands()) collect(node, nodes);
  if (nodes.empty()) return;
  if (random() % 16 == 0) {
    chosen->addOperand(nodes[random() % nodes.size()]);
    return;
  }
  // Rebuilds one node with an operand changed, dropped or added, and puts it where the old one was.
  llvm::MDNode* old = nodes[random() % nodes.size()];
  llvm::SmallVector<llvm::Metadata*, 16> operands(old->op_begin(), old->op_end());
  const size_t at = operands.empty() ? 0 : random() % operands.size();
  llvm::Metadata* value = other(nodes, module.getContext(), random);
  if (operands.empty() || random() % 4 == 0)
    operands.insert(operands.begin() + long(at), value);
  else if (random() % 3 == 0)
    operands.erase(operands.begin() + long(at));
  else
    operands[at] = value;
  llvm::MDNode* made = llvm::MDNode::getDistinct(module.getContext(), operands);
  for (unsigned i = 0; i < chosen->getNumOperands(); ++i)
    if (chosen->getOperand(i) == old) chosen->setOperand(i, made);
  for (llvm::MDNode* node : nodes)
    for (unsigned i = 0; node != old && i < node->getNumOperands(); ++i)
      if (node->getOperand(i) == old) node->replaceOperandWith(i, made);
}

void change_code(llvm::Module& module, Random& random, size_t max_size) {
  static const std::vector<llvm::TypeGetter> types = {
      [](llvm::LLVMContext& c) { return llvm::Type::getInt1Ty(c); },
      [](llvm::LLVMContext& c) { return llvm::Type::getInt16Ty(c); },
      [](llvm::LLVMContext& c) { return llvm::Type::getInt32Ty(c); },
      [](llvm::LLVMContext& c) { return llvm::Type::getHalfTy(c); },
      [](llvm::LLVMContext& c) { return llvm::Type::getFloatTy(c); },
      [](llvm::LLVMContext& c) { return llvm::PointerType::get(c, 1); }};
  std::vector<std::unique_ptr<llvm::IRMutationStrategy>> strategies;
  strategies.push_back(
      std::make_unique<llvm::InjectorIRStrategy>(llvm::InjectorIRStrategy::getDefaultOps()));
  strategies.push_back(std::make_unique<llvm::InstDeleterIRStrategy>());
  strategies.push_back(std::make_unique<llvm::InstModificationIRStrategy>());
  strategies.push_back(std::make_unique<llvm::ShuffleBlockStrategy>());
  llvm::IRMutator mutator(std::vector<llvm::TypeGetter>(types), std::move(strategies));
  mutator.mutateModule(module, int(random()), max_size);
}

llvm::TargetMachine& machine() {
  static const std::unique_ptr<llvm::TargetMachine> made = [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    auto builder = llvm::cantFail(llvm::orc::JITTargetMachineBuilder::detectHost());
    return llvm::cantFail(builder.createTargetMachine());
  }();
  return *made;
}

}  // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed) {
  Random random(seed);
  // What is not valid any more is not worth a run, and neither is the same input again.
  for (int attempt = 0; attempt < 8; ++attempt) {
    llvm::LLVMContext context;
    auto module = parse(data, size, context);
    if (!module) return 0;
    for (unsigned i = 0; i <= random() % 3; ++i) {
      if (random() % 3 == 0)
        change_code(*module, random, max_size);
      else
        change_metadata(*module, random);
    }
    if (llvm::verifyModule(*module)) continue;
    std::string text;
    llvm::raw_string_ostream stream(text);
    module->print(stream, nullptr);
    stream.flush();
    if (text.size() > max_size || same(text, data, size)) continue;
    memcpy(data, text.data(), text.size());
    made = {std::move(text), bitcode_of(*module)};
    return made.text.size();
  }
  return size;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  mfa::air::FunctionDescription function;
  function.name = "k";
  if (same(made.text, data, size)) {
    function.bitcode = made.bitcode;
  } else {
    llvm::LLVMContext context;
    auto module = parse(data, size, context);
    if (!module) return -1;
    function.bitcode = bitcode_of(*module);
  }
  auto library = mfa::air::Metallib::open(mfa::air::write({function}));
  if (!library) abort();
  const mfa::air::FunctionRecord& record = *(*library)->find("k");
  auto reflection = mfa::air::reflect(record);
  if (!reflection && reflection.error().empty()) abort();

  mfa::air::ConstantValues values;
  for (uint32_t index = 0; index < 8; ++index) {
    mfa::air::ConstantValue value;
    value.type = index == 7 ? 53 : 33;  // bool, uint
    value.bytes[0] = uint8_t(1 + index % 3);
    values.by_index[index] = value;
  }
  llvm::LLVMContext context;
  auto specialized = mfa::air::specialize(record, values, context, machine());
  if (!specialized) {
    if (specialized.error().empty()) abort();
    return 0;
  }
  if (llvm::verifyModule(*specialized->module)) abort();
  return 0;
}
