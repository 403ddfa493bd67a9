// SPDX-License-Identifier: MIT
// Runs clang on one MSL file with AIR's target, MSL's attributes and our headers.
#include "metalc/frontend.h"

#include "clang/AST/ASTContext.h"
#include "clang/CodeGen/ModuleBuilder.h"
#include "clang/Frontend/CompilerInstance.h"
#include "clang/Frontend/FrontendAction.h"
#include "clang/Frontend/MultiplexConsumer.h"
#include "clang/Lex/PreprocessorOptions.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "metalc/attributes.h"
#include "metalc/diagnostics.h"
#include "metalc/intrinsics.h"
#include "metalc/kernels.h"
#include "metalc/prepare.h"
#include "metalc/source.h"
#include "metalc/target.h"

namespace mfa::metalc {
namespace {

// Sees the translation unit after the code generator, which then knows every symbol.
class Finisher final : public clang::ASTConsumer {
 public:
  Finisher(clang::CodeGenerator& codegen, Unit& unit) : codegen_(codegen), unit_(unit) {}
  void HandleTranslationUnit(clang::ASTContext& context) override {
    if (context.getDiagnostics().hasErrorOccurred() || !codegen_.GetModule()) return;
    collect_kernels(context, codegen_, unit_);
    note_locations(context, codegen_, unit_);
    name_intrinsics(context, codegen_, *codegen_.GetModule());
    unit_.module.reset(codegen_.ReleaseModule());
  }

 private:
  clang::CodeGenerator& codegen_;
  Unit& unit_;
};

class Action final : public clang::ASTFrontendAction {
 public:
  explicit Action(Unit& unit) : unit_(unit) {}

 private:
  std::unique_ptr<clang::ASTConsumer> CreateASTConsumer(clang::CompilerInstance& compiler,
                                                        llvm::StringRef file) override {
    auto* codegen =
        clang::CreateLLVMCodeGen(compiler.getDiagnostics(), file, &compiler.getVirtualFileSystem(),
                                 compiler.getHeaderSearchOpts(), compiler.getPreprocessorOpts(),
                                 compiler.getCodeGenOpts(), *unit_.context);
    std::vector<std::unique_ptr<clang::ASTConsumer>> consumers;
    consumers.push_back(make_preparer());
    consumers.emplace_back(codegen);
    consumers.push_back(std::make_unique<Finisher>(*codegen, unit_));
    return std::make_unique<clang::MultiplexConsumer>(std::move(consumers));
  }
  Unit& unit_;
};

std::vector<const char*> arguments(const Options& options) {
  std::vector<const char*> result = {
      "-triple",
      "air64-unknown-unknown",
      "-emit-llvm-only",
      "-x",
      "c++",
      "-std=c++17",
      // SYCL's device mode for its address spaces; see target.cpp.
      "-fsycl-is-device",
      "-fnative-half-type",
      "-fnative-half-arguments-and-returns",
      "-cl-single-precision-constant",
      "-fdeclspec",
      "-ffreestanding",
      "-fno-builtin",
      "-fno-rtti",
      "-fno-threadsafe-statics",
      "-fno-use-cxa-atexit",
      "-fpreserve-vec3-type",
      "-fno-strict-float-cast-overflow",
      "-ffp-contract=on",
      "-relaxed-aliasing",
      "-disable-llvm-passes",
      "-disable-lifetime-markers",
      "-O2",
      "-mframe-pointer=all",
      "-nostdsysteminc",
      "-nobuiltininc",
      "-internal-isystem",
      kPreludeFolder,
      "-include",
      "__types",
      "-fmessage-length=0",
      "-ferror-limit",
      "50",
      "-fdeprecated-macro",
      "-Wno-duplicate-decl-specifier",
      "-Werror=unknown-attributes",
      "-Wno-gcc-compat",
      "-Wno-c++17-extensions",
      "-Wno-nan-infinity-disabled",
      "-Wno-unused-value",
      "-Wno-undefined-inline",
      "-Wno-undefined-internal",
  };
  if (options.fast_math) {
    for (const char* flag : {"-ffast-math", "-menable-no-infs", "-menable-no-nans",
                             "-funsafe-math-optimizations", "-fno-signed-zeros", "-mreassociate",
                             "-freciprocal-math", "-fapprox-func", "-ffinite-math-only"})
      result.push_back(flag);
  }
  for (const std::string& folder : options.include) {
    result.push_back("-I");
    result.push_back(folder.c_str());
  }
  for (const std::string& define : options.defines) {
    result.push_back("-D");
    result.push_back(define.c_str());
  }
  return result;
}

}  // namespace

std::optional<Unit> parse(const Options& options, const std::string& input) {
  Unit unit;
  unit.context = std::make_unique<llvm::LLVMContext>();
  unit.fast_math = options.fast_math;
  std::string path = input, text;
  if (input == "-") {
    auto buffer = llvm::MemoryBuffer::getSTDIN();
    if (!buffer) {
      llvm::errs() << "error: cannot read standard input: " << buffer.getError().message() << '\n';
      return std::nullopt;
    }
    text = (*buffer)->getBuffer().str();
    path = options.stdin_name;
  }
  unit.file = llvm::sys::path::filename(path).str();

  clang::CompilerInstance compiler;
  std::map<std::string, std::string> changed;
  auto files = make_files(input == "-" ? path : "", text, changed);
  llvm::IntrusiveRefCntPtr<clang::DiagnosticOptions> diagnostics(new clang::DiagnosticOptions);
  diagnostics->ShowColors = options.colour;
  compiler.createDiagnostics(new DiagnosticPrinter(diagnostics.get(), changed));
  std::vector<const char*> command = arguments(options);
  command.push_back(path.c_str());
  if (!clang::CompilerInvocation::CreateFromArgs(compiler.getInvocation(), command,
                                                 compiler.getDiagnostics()))
    return std::nullopt;
  compiler.getDiagnosticOpts().ShowColors = options.colour;
  clang::ProcessWarningOptions(compiler.getDiagnostics(), compiler.getDiagnosticOpts());
  clang::LangOptions& language = compiler.getLangOpts();
  language.Half = 1;
  compiler.createFileManager(files);
  compiler.createSourceManager(compiler.getFileManager());
  compiler.setTarget(make_air_target(compiler.getInvocation().TargetOpts));
  // In SYCL's device mode names of types are those of the "host", which is the same machine here.
  compiler.setAuxTarget(make_air_target(compiler.getInvocation().TargetOpts));
  compiler.getTarget().adjust(compiler.getDiagnostics(), language);

  Action action(unit);
  const clang::FrontendInputFile& file = compiler.getFrontendOpts().Inputs[0];
  bool ran = action.BeginSourceFile(compiler, file);
  if (ran) {
    if (llvm::Error failure = action.Execute()) {
      llvm::errs() << "error: " << llvm::toString(std::move(failure)) << '\n';
      ran = false;
    }
    action.EndSourceFile();
  }
  unsigned errors = compiler.getDiagnostics().getClient()->getNumErrors();
  unsigned warnings = compiler.getDiagnostics().getClient()->getNumWarnings();
  if (warnings) llvm::errs() << warnings << " warning" << (warnings == 1 ? "" : "s");
  if (warnings && errors) llvm::errs() << " and ";
  if (errors) llvm::errs() << errors << " error" << (errors == 1 ? "" : "s");
  if (warnings || errors) llvm::errs() << " generated.\n";
  if (!ran || errors || !unit.module) return std::nullopt;
  return unit;
}

}  // namespace mfa::metalc
