// SPDX-License-Identifier: MIT
// LLVM IR text -> a metallib with one kernel, and its canonical form as callable scalar code.
#include "kernel.h"

#include <llvm/AsmParser/Parser.h>
#include <llvm/Bitcode/BitcodeWriter.h>
#include <llvm/ExecutionEngine/Orc/JITTargetMachineBuilder.h>
#include <llvm/IR/Module.h>
#include <llvm/Support/SourceMgr.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Target/TargetMachine.h>

#include "air/metallib.h"
#include "check.h"

namespace {

constexpr char kHead[] = R"(
target datalayout = "e-p:64:64:64-i1:8:8-i8:8:8-i16:16:16-i32:32:32-i64:64:64-f32:32:32-f64:64:64-v16:16:16-v24:32:32-v32:32:32-v48:64:64-v64:64:64-v96:128:128-v128:128:128-v192:256:256-v256:256:256-v512:512:512-v1024:1024:1024-n8:16:32"
target triple = "air64_v26-apple-macosx14.0.0"
)";

}  // namespace

std::string two_buffers(const std::string& declarations, const std::string& body) {
  return declarations + "define void @k(ptr addrspace(1) %out, ptr addrspace(1) %in) {\n" + body +
         R"(  ret void
}
!air.kernel = !{!0}
!0 = !{ptr @k, !1, !2}
!1 = !{}
!2 = !{!3, !4}
!3 = !{i32 0, !"air.buffer", !"air.location_index", i32 0, i32 1, !"air.read_write", !"air.address_space", i32 1, !"air.arg_name", !"out"}
!4 = !{i32 1, !"air.buffer", !"air.location_index", i32 1, i32 1, !"air.read", !"air.address_space", i32 1, !"air.arg_name", !"in"}
)";
}

static mfa::air::FunctionDescription function_of(const std::string& name, const std::string& body) {
  llvm::LLVMContext context;
  llvm::SMDiagnostic problem;
  const auto module = llvm::parseAssemblyString(kHead + body, problem, context);
  if (!module) problem.print(name.c_str(), llvm::errs());
  REQUIRE(module != nullptr);
  std::string bitcode;
  llvm::raw_string_ostream stream(bitcode);
  llvm::WriteBitcodeToFile(*module, stream);
  stream.flush();
  mfa::air::FunctionDescription function;
  function.name = name;
  function.bitcode.assign(bitcode.begin(), bitcode.end());
  return function;
}

std::vector<uint8_t> metallib_of(const std::string& body, const std::vector<std::string>& visible) {
  std::vector<mfa::air::FunctionDescription> functions = {function_of("k", body)};
  for (size_t i = 0; i < visible.size(); ++i) {
    functions.push_back(function_of("f" + std::to_string(i), visible[i]));
    functions.back().type = mfa::air::FunctionType::visible;
  }
  return mfa::air::write(functions);
}

std::shared_ptr<const mfa::air::Metallib> library_of(const std::string& body,
                                                     const std::vector<std::string>& visible) {
  auto library = mfa::air::Metallib::open(metallib_of(body, visible));
  REQUIRE(bool(library));
  return *library;
}

static std::unique_ptr<llvm::TargetMachine> host_machine(Bfloat bfloat) {
  llvm::InitializeNativeTarget();
  llvm::InitializeNativeTargetAsmPrinter();
  auto builder = llvm::cantFail(llvm::orc::JITTargetMachineBuilder::detectHost());
  if (bfloat == Bfloat::plain) builder.addFeatures({"-avx512bf16"});
  return llvm::cantFail(builder.createTargetMachine());
}

Kernel compile(const std::string& body, const mfa::air::ConstantValues& values, Bfloat bfloat) {
  Kernel kernel;
  kernel.library = library_of(body);
  const auto machine = host_machine(bfloat);
  auto context = std::make_unique<llvm::LLVMContext>();
  auto specialized = mfa::air::specialize(*kernel.library->find("k"), values, *context, *machine);
  if (!specialized) {
    kernel.error = specialized.error();
    return kernel;
  }
  kernel.reflection = specialized->reflection;
  llvm::raw_string_ostream stream(kernel.text);
  specialized->module->print(stream, nullptr);
  stream.flush();
  // No symbols of the process: a call of the C library in the canonical form fails to link here.
  kernel.jit = llvm::cantFail(llvm::orc::LLJITBuilder()
                                  .setLinkProcessSymbolsByDefault(false)
                                  .setPlatformSetUp(llvm::orc::setUpInactivePlatform)
                                  .create());
  llvm::cantFail(kernel.jit->addIRModule(
      llvm::orc::ThreadSafeModule(std::move(specialized->module), std::move(context))));
  auto symbol = kernel.jit->lookup("k");
  if (!symbol)
    kernel.error = llvm::toString(symbol.takeError());
  else
    kernel.address = symbol->toPtr<void*>();
  return kernel;
}
