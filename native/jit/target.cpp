// SPDX-License-Identifier: MIT
// The CPU code is generated for, and the code generator's settings.
#include "jit/target.h"

#include <cstdlib>
#include <vector>

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/IR/Function.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/SubtargetFeature.h"

namespace mfa::jit {
namespace {

struct Cpu {
  const llvm::Target* target = nullptr;
  std::string triple, name, features, error;
};

/// Kernels are straight-line blocks of thousands of instructions, for which LLVM's defaults are
/// quadratic. Speed of the code is the same within noise.
void set_code_generator_options() {
  const char* arguments[] = {
      "mfa",
      "-combiner-tokenfactor-inline-limit=8",  // minutes -> seconds on attention kernels
      "-post-RA-scheduler=false",              // three quarters of the time on unrolled GEMMs
      "-enable-misched=false",                 // a fifth of it
  };
  llvm::cl::ParseCommandLineOptions(std::size(arguments), arguments, "", &llvm::nulls());
}

/// Checks "+a,-b" against the features the target knows and appends them.
std::string append_features(Cpu& cpu, const llvm::MCSubtargetInfo& known, const char* text) {
  llvm::SmallVector<llvm::StringRef, 8> parts;
  llvm::StringRef(text).split(parts, ',', -1, false);
  for (llvm::StringRef part : parts) {
    bool named = part.starts_with("+") || part.starts_with("-");
    bool found = false;
    for (const llvm::SubtargetFeatureKV& feature : known.getAllProcessorFeatures())
      found |= named && part.drop_front() == feature.Key;
    if (!found)
      return "MFA_CPU_FEATURES: \"" + part.str() +
             "\" is no feature of this architecture; expected +name or -name";
    cpu.features += (cpu.features.empty() ? "" : ",") + part.str();
  }
  return {};
}

Cpu find_cpu() {
  llvm::InitializeNativeTarget();
  llvm::InitializeNativeTargetAsmPrinter();
  set_code_generator_options();
  Cpu cpu;
  cpu.triple = llvm::sys::getProcessTriple();
  cpu.target = llvm::TargetRegistry::lookupTarget(cpu.triple, cpu.error);
  if (!cpu.target) return cpu;
  const char* asked = getenv("MFA_CPU");
  if (asked && *asked) {
    cpu.name = asked;
  } else {
    cpu.name = llvm::sys::getHostCPUName().str();
    llvm::SubtargetFeatures features;
    for (const auto& feature : llvm::sys::getHostCPUFeatures())
      features.AddFeature(feature.first(), feature.second);
    cpu.features = features.getString();
  }
  std::unique_ptr<llvm::MCSubtargetInfo> known(
      cpu.target->createMCSubtargetInfo(cpu.triple, "", ""));
  if (!known->isCPUStringValid(cpu.name)) {
    cpu.error = "MFA_CPU: \"" + cpu.name + "\" is no CPU of this architecture";
  } else if (const char* text = getenv("MFA_CPU_FEATURES")) {
    cpu.error = append_features(cpu, *known, text);
  }
  return cpu;
}

const Cpu& host() {
  static const Cpu cpu = find_cpu();
  return cpu;
}

}  // namespace

Result<std::unique_ptr<llvm::TargetMachine>> make_target() {
  const Cpu& cpu = host();
  if (!cpu.error.empty()) return Error{cpu.error};
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Standard;
  options.EmitStackSizeSection = true;  // read back by stack_bytes() in object.cpp
  std::unique_ptr<llvm::TargetMachine> target(cpu.target->createTargetMachine(
      cpu.triple, cpu.name, cpu.features, options, llvm::Reloc::PIC_, llvm::CodeModel::Small,
      llvm::CodeGenOptLevel::Default, true));
  if (!target) return Error{"LLVM has no code generator for " + cpu.triple};
  return target;
}

void prepare_functions(llvm::Module& module, const llvm::TargetMachine& target) {
  bool wide = target.getMCSubtargetInfo()->checkFeatures("+avx512f");
  for (llvm::Function& function : module) {
    if (function.isDeclaration()) continue;
    for (const char* stale : {"target-cpu", "target-features", "tune-cpu", "frame-pointer",
                              "min-legal-vector-width", "stack-protector-buffer-size"})
      function.removeFnAttr(stale);
    if (wide) function.addFnAttr("prefer-vector-width", "512");
    function.setDoesNotThrow();
    function.removeFnAttr(llvm::Attribute::UWTable);
  }
}

std::string target_identity() {
  const Cpu& cpu = host();
  return cpu.error.empty() ? cpu.triple + " " + cpu.name + " " + cpu.features : "";
}

std::string target_description() {
  const Cpu& cpu = host();
  if (!cpu.error.empty()) return cpu.error;
  llvm::SmallVector<llvm::StringRef, 64> parts;
  llvm::StringRef(cpu.features).split(parts, ',', -1, false);
  llvm::StringMap<bool> on;  // the last mention of a feature counts
  for (llvm::StringRef part : parts) on[part.drop_front()] = part.starts_with("+");
  std::vector<std::string> names;
  for (const auto& feature : on)
    if (feature.second) names.push_back(feature.first().str());
  std::sort(names.begin(), names.end());
  names.insert(names.begin(), cpu.name);
  return llvm::join(names, " ");
}

bool target_has(const char* feature) {
  auto target = make_target();
  if (!target) return false;
  const llvm::MCSubtargetInfo& info = *(*target)->getMCSubtargetInfo();
  for (const llvm::SubtargetFeatureKV& known : info.getAllProcessorFeatures())
    if (llvm::StringRef(known.Key) == feature) return info.getFeatureBits().test(known.Value);
  return false;  // of another architecture
}

}  // namespace mfa::jit
