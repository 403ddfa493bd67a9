// SPDX-License-Identifier: MIT
// A function record, constant values and a thread shape -> an object file and what runs it.
#include "jit/compile.h"

#include <algorithm>

#include "jit/dump.h"
#include "jit/guard.h"
#include "jit/reference.h"
#include "jit/target.h"
#include "llvm/IR/DiagnosticInfo.h"
#include "llvm/IR/DiagnosticPrinter.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/Utils/Cloning.h"
#include "simd/vectorize.h"

namespace mfa::jit {
namespace {

// What the functions of jit/symbols.h and the executor's switch take beside the kernel's frames.
constexpr uint32_t runtime_stack_bytes = 16 * 1024;

/// Collects error messages; remarks and warnings are nobody's business here.
void on_diagnostic(const llvm::DiagnosticInfo* info, void* messages) {
  if (info->getSeverity() != llvm::DS_Error) return;
  auto& text = *static_cast<std::string*>(messages);
  llvm::raw_string_ostream stream(text);
  if (!text.empty()) stream << "; ";
  llvm::DiagnosticPrinterRawOStream printer(stream);
  info->print(printer);
}

std::string text_of(const llvm::Module& module) {
  std::string text;
  llvm::raw_string_ostream(text) << module;
  return text;
}

Result<void> verify(const llvm::Module& module, const char* stage) {
  std::string message;
  llvm::raw_string_ostream stream(message);
  if (!llvm::verifyModule(module, &stream)) return {};
  return Error{std::string("the ") + stage + " kernel is not valid LLVM IR: " + stream.str()};
}

/// Frames must have a size that stack_bytes() can read back.
Result<void> check_frames(llvm::Module& module) {
  for (llvm::Function& function : module)
    for (llvm::Instruction& inst : llvm::instructions(function))
      if (auto* array = llvm::dyn_cast<llvm::AllocaInst>(&inst); array && !array->isStaticAlloca())
        return Error{"a private array of a size unknown before the kernel runs is not supported"};
  return {};
}

/// The kernel of `module` becomes a function the executor can call; returns what runs it.
Result<CompiledObject> make_entry(air::Specialized& kernel, llvm::TargetMachine& target, Path path,
                                  exec::Shape shape) {
  CompiledObject out;
  if (path != Path::vector) {
    auto reference = make_reference(kernel, path == Path::validated);
    if (!reference) return reference.take_error();
    out.symbol = reference->symbol;
    out.code.stack_bytes = 0;
    return out;
  }
  simd::Options options;
  options.shape = shape;
  auto vectorized = simd::vectorize(kernel, target, options);
  if (!vectorized) return vectorized.take_error();
  out.symbol = vectorized->symbol;
  out.code.scratch_bytes = vectorized->scratch_bytes;
  out.code.stack_bytes = vectorized->stack_bytes;
  out.code.barriers = vectorized->barriers;
  return out;
}

Result<CompiledObject> compile_in(llvm::LLVMContext& context, const air::FunctionRecord& record,
                                  const air::ConstantValues& values,
                                  const air::LinkedFunctions& linked, Path path,
                                  exec::Shape shape) {
  auto target = make_target();
  if (!target) return target.take_error();
  auto kernel = air::specialize(record, values, context, **target, linked);
  if (!kernel) return kernel.take_error();
  llvm::Module& module = *kernel->module;
  dump(record.name, "specialized.ll", [&] { return text_of(module); });

  air::Reflection reflection = kernel->reflection;
  auto out = make_entry(*kernel, **target, path, shape);
  if (!out) return out.take_error();
  out->reflection = std::move(reflection);
  out->code.flush_subnormals = kernel->flush_subnormals;
  const char* stage = path == Path::validated        ? "validated"
                      : path == Path::reference      ? "reference"
                      : shape == exec::Shape::linear ? "vector"
                      : shape == exec::Shape::whole  ? "vector-whole"
                                                     : "vector-general";
  dump(record.name, (std::string(stage) + ".ll").c_str(), [&] { return text_of(module); });
  if (auto valid = verify(module, stage); !valid) return valid.take_error();
  if (auto sized = check_frames(module); !sized) return sized.take_error();

  prepare_functions(module, **target);
  dump(record.name, (std::string(stage) + ".s").c_str(), [&] {
    auto text = emit_assembly(*llvm::CloneModule(module), **target);
    return text ? *text : text.error();
  });
  auto object = emit_object(module, **target);
  if (!object) return object.take_error();
  out->bytes = std::move(*object);
  auto frames = stack_bytes(out->bytes);
  if (!frames) return frames.take_error();
  out->code.stack_bytes = std::max(out->code.stack_bytes, *frames + runtime_stack_bytes);
  return out;
}

}  // namespace

Result<CompiledObject> compile(const air::FunctionRecord& record, const air::ConstantValues& values,
                               const air::LinkedFunctions& linked, Path path, exec::Shape shape) {
  std::optional<Result<CompiledObject>> out;
  std::string messages;
  auto* context = new llvm::LLVMContext;
  context->setDiscardValueNames(!dumps());  // only people read them
  context->setDiagnosticHandlerCallBack(&on_diagnostic, &messages);
  auto failure =
      run_guarded([&] { out.emplace(compile_in(*context, record, values, linked, path, shape)); });
  // After a fatal error the context is in no state to be destroyed.
  if (failure) return Error{record.name + ": the code generator failed: " + *failure};
  delete context;
  if (!*out) return out->take_error();
  if (!messages.empty()) return Error{record.name + ": the code generator failed: " + messages};
  return std::move(**out);
}

}  // namespace mfa::jit
