// SPDX-License-Identifier: MIT
// The bitcode of a function record -> a verified LLVM module and its !air.kernel entry.
#include "air/load.h"

#include <llvm/Bitcode/BitcodeReader.h>
#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/Verifier.h>
#include <llvm/Support/MemoryBuffer.h>
#include <llvm/Support/raw_ostream.h>

#include "air/silence.h"

namespace mfa::air {
namespace {

const char* type_name(FunctionType type) {
  switch (type) {
    case FunctionType::vertex:
      return "a vertex";
    case FunctionType::fragment:
      return "a fragment";
    case FunctionType::kernel:
      return "a kernel";
    case FunctionType::visible:
      return "a visible";
    case FunctionType::intersection:
      return "an intersection";
    case FunctionType::mesh:
      return "a mesh";
    case FunctionType::object:
      return "an object";
    default:
      return "an unqualified";
  }
}

}  // namespace

Error refusal(const FunctionRecord& record, const std::string& what) {
  return Error{"function '" + record.name + "': " + what};
}

Result<Loaded> load(const FunctionRecord& record, llvm::LLVMContext& context) {
  if (record.type != FunctionType::kernel)
    return refusal(record, std::string("it is ") + type_name(record.type) +
                               " function, only kernels can be run");
  Silence silence(context);
  const llvm::StringRef bytes(reinterpret_cast<const char*>(record.bitcode.data()),
                              record.bitcode.size());
  auto parsed = llvm::parseBitcodeFile(llvm::MemoryBufferRef(bytes, record.name), context);
  if (!parsed)
    return refusal(record, "its bitcode cannot be read: " + llvm::toString(parsed.takeError()));

  Loaded loaded;
  loaded.module = std::move(*parsed);
  if (!record.valid->load(std::memory_order_relaxed)) {
    std::string problems;
    llvm::raw_string_ostream stream(problems);
    if (llvm::verifyModule(*loaded.module, &stream))
      return refusal(record, "its bitcode is not valid: " + stream.str());
    record.valid->store(true, std::memory_order_relaxed);
  }

  const llvm::NamedMDNode* kernels = loaded.module->getNamedMetadata("air.kernel");
  if (!kernels || kernels->getNumOperands() != 1)
    return refusal(record, "its module does not have exactly one !air.kernel entry");
  loaded.entry = kernels->getOperand(0);
  if (loaded.entry->getNumOperands() >= 3)
    loaded.kernel = llvm::mdconst::dyn_extract_or_null<llvm::Function>(loaded.entry->getOperand(0));
  if (!loaded.kernel || loaded.kernel->isDeclaration() ||
      !loaded.kernel->getReturnType()->isVoidTy() || loaded.kernel->isVarArg())
    return refusal(record, "its !air.kernel entry names no kernel");
  return loaded;
}

}  // namespace mfa::air
