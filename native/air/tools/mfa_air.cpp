// SPDX-License-Identifier: MIT
// A metallib and a function name on the command line -> its arguments, or its canonical IR as text.
#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/Module.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/TargetParser/Host.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "air/constants.h"
#include "air/load.h"
#include "air/specialize.h"

namespace {

using namespace mfa::air;

constexpr char kUsage[] =
    "usage: mfa-air LIB.metallib --list\n"
    "       mfa-air LIB.metallib --check [STEP]        specialises every STEP-th function\n"
    "       mfa-air LIB.metallib --reflect FUNCTION\n"
    "       mfa-air LIB.metallib --raw FUNCTION        the IR as compiled\n"
    "       mfa-air LIB.metallib FUNCTION [INDEX=TYPE:VALUE]... [--cpu=NAME]\n"
    "--all sets every constant that is not given: true for bool, 16 for the others\n";

std::unique_ptr<llvm::TargetMachine> host(const std::string& cpu) {
  llvm::InitializeNativeTarget();
  llvm::InitializeNativeTargetAsmPrinter();
  const std::string triple = llvm::sys::getProcessTriple();
  std::string problem, features;
  const llvm::Target* target = llvm::TargetRegistry::lookupTarget(triple, problem);
  if (!target) return nullptr;
  return std::unique_ptr<llvm::TargetMachine>(
      target->createTargetMachine(triple, cpu.empty() ? llvm::sys::getHostCPUName() : cpu, features,
                                  llvm::TargetOptions(), llvm::Reloc::PIC_));
}

ConstantValue value_of(const std::string& type, const std::string& text) {
  ConstantValue value;
  value.type = data_type(type);
  if (type == "float") {
    const float number = std::strtof(text.c_str(), nullptr);
    std::memcpy(value.bytes.data(), &number, sizeof number);
  } else {
    const long long number = text == "true" ? 1 : std::strtoll(text.c_str(), nullptr, 0);
    std::memcpy(value.bytes.data(), &number, sizeof number);
  }
  return value;
}

void set_missing(const FunctionRecord& record, ConstantValues& values) {
  const auto reflection = reflect(record);
  if (!reflection) return;
  for (const Constant& constant : reflection->constants)
    values.by_index.emplace(constant.index,
                            value_of(constant.type, constant.type == "bool" ? "true" : "16"));
}

int list(const Metallib& library) {
  for (const FunctionRecord& record : library.functions()) llvm::outs() << record.name << "\n";
  return 0;
}

int print_reflection(const FunctionRecord& record) {
  const auto reflection = reflect(record);
  if (!reflection) return llvm::errs() << reflection.error() << "\n", 1;
  for (const Argument& argument : reflection->arguments) {
    llvm::outs() << argument.parameter << " " << argument.type_name << " " << argument.name;
    if (argument.kind == Argument::Kind::builtin)
      llvm::outs() << " [[" << argument.builtin << "]]";
    else
      llvm::outs() << " slot " << argument.slot << " space " << argument.address_space;
    if (!argument.predicate.empty()) llvm::outs() << " if " << argument.predicate;
    if (argument.unused) llvm::outs() << " unused";
    llvm::outs() << "\n";
  }
  for (const Constant& constant : reflection->constants)
    llvm::outs() << "constant " << constant.index << " " << constant.type << " " << constant.name
                 << (constant.required ? "\n" : " optional\n");
  return 0;
}

int print_raw(const FunctionRecord& record) {
  llvm::LLVMContext context;
  auto loaded = load(record, context);
  if (!loaded) return llvm::errs() << loaded.error() << "\n", 1;
  loaded->module->print(llvm::outs(), nullptr);
  return 0;
}

int print_specialized(const FunctionRecord& record, const ConstantValues& values,
                      llvm::TargetMachine& target) {
  llvm::LLVMContext context;
  const auto start = std::chrono::steady_clock::now();
  auto specialized = specialize(record, values, context, target);
  const std::chrono::duration<double, std::milli> spent = std::chrono::steady_clock::now() - start;
  if (!specialized) return llvm::errs() << specialized.error() << "\n", 1;
  specialized->module->print(llvm::outs(), nullptr);
  llvm::errs() << llvm::format("%.1f ms, %u bytes of threadgroup memory\n", spent.count(),
                               specialized->reflection.static_threadgroup_bytes);
  return 0;
}

/// One line per function: its time and size, or why it is refused.
int check_all(const Metallib& library, size_t step, llvm::TargetMachine& target) {
  size_t refused = 0, done = 0;
  for (size_t i = 0; i < library.functions().size(); i += step) {
    const FunctionRecord& record = library.functions()[i];
    ConstantValues values;
    set_missing(record, values);
    llvm::LLVMContext context;
    const auto start = std::chrono::steady_clock::now();
    auto specialized = specialize(record, values, context, target);
    const std::chrono::duration<double, std::milli> spent =
        std::chrono::steady_clock::now() - start;
    ++done;
    if (!specialized) {
      ++refused;
      llvm::outs() << "REFUSED " << specialized.error() << "\n";
      continue;
    }
    size_t allocas = 0;
    for (const llvm::Instruction& instruction : specialized->kernel->getEntryBlock())
      allocas += instruction.getOpcode() == llvm::Instruction::Alloca;
    llvm::outs() << llvm::format("%7.1f ms %6u instructions %2zu arrays  ", spent.count(),
                                 specialized->kernel->getInstructionCount(), allocas)
                 << record.name << "\n";
  }
  llvm::outs() << done - refused << " of " << done << " specialised\n";
  return refused != 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return llvm::errs() << kUsage, 2;
  std::ifstream file(argv[1], std::ios::binary);
  std::vector<uint8_t> bytes((std::istreambuf_iterator<char>(file)), {});
  auto library = Metallib::open(std::move(bytes));
  if (!library) return llvm::errs() << library.error() << "\n", 1;

  const std::string command = argv[2];
  const bool named = command == "--reflect" || command == "--raw";
  if (named && argc < 4) return llvm::errs() << kUsage, 2;
  const std::string name = named ? argv[3] : command;
  std::string cpu;
  bool all = false;
  ConstantValues values;
  for (int i = 3; i < argc; ++i) {
    const std::string text = argv[i];
    const size_t equals = text.find('='), colon = text.find(':', equals + 1);
    if (text == "--all") {
      all = true;
    } else if (text.rfind("--cpu=", 0) == 0) {
      cpu = text.substr(6);
    } else if (equals != std::string::npos && colon != std::string::npos) {
      values.by_index[uint32_t(std::atoi(text.c_str()))] =
          value_of(text.substr(equals + 1, colon - equals - 1), text.substr(colon + 1));
    }
  }
  if (command == "--list") return list(**library);
  const auto target = host(cpu);
  if (!target) return llvm::errs() << "no code generator for this machine\n", 1;
  if (command == "--check")
    return check_all(**library, argc > 3 ? size_t(std::max(1, std::atoi(argv[3]))) : 1, *target);
  const FunctionRecord* record = (*library)->find(name);
  if (!record) return llvm::errs() << "there is no function '" << name << "'\n", 1;
  if (command == "--reflect") return print_reflection(*record);
  if (command == "--raw") return print_raw(*record);
  if (all) set_missing(*record, values);
  return print_specialized(*record, values, *target);
}
