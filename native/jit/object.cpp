// SPDX-License-Identifier: MIT
// LLVM module -> object file -> code in memory. The bytes in between may be kept anywhere.
#include "jit/object.h"

#include <sys/mman.h>
#include <unistd.h>

#include <map>

#include "jit/symbols.h"
#include "llvm/ExecutionEngine/RTDyldMemoryManager.h"
#include "llvm/ExecutionEngine/RuntimeDyld.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Object/ObjectFile.h"
#include "llvm/Support/DataExtractor.h"
#include "llvm/Support/Memory.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"

namespace mfa::jit {
namespace {

using llvm::Align;
using llvm::StringRef;

template <class Bytes>
Result<Bytes> emit(llvm::Module& module, llvm::TargetMachine& target, llvm::CodeGenFileType type) {
  llvm::SmallVector<char, 0> buffer;
  llvm::raw_svector_ostream stream(buffer);
  llvm::legacy::PassManager passes;
  constexpr bool skip_verifier = true;  // the caller has verified the module
  if (target.addPassesToEmitFile(passes, stream, nullptr, type, skip_verifier))
    return Error{"LLVM cannot write code for " + target.getTargetTriple().str()};
  passes.run(module);
  return Bytes(buffer.begin(), buffer.end());
}

Error llvm_error(llvm::Error error) { return Error{llvm::toString(std::move(error))}; }

llvm::Expected<std::unique_ptr<llvm::object::ObjectFile>> open(const ObjectBytes& bytes) {
  return llvm::object::ObjectFile::createObjectFile(
      llvm::MemoryBufferRef(StringRef(bytes.data(), bytes.size()), "kernel"));
}

/// One mapping for all sections of an object, so that they reach each other.
class Sections final : public llvm::RuntimeDyld::MemoryManager {
 public:
  ~Sections() override {
    if (base_) munmap(base_, size_);
  }

  bool needsToReserveAllocationSpace() override { return true; }

  void reserveAllocationSpace(uintptr_t code, Align, uintptr_t read_only, Align,
                              uintptr_t read_write, Align) override {
    // LLVM's sums leave out padding between sections; a page for each area is ample.
    size_t page = size_t(sysconf(_SC_PAGESIZE));
    auto area = [&](uintptr_t bytes) { return llvm::alignTo(bytes, page) + page; };
    size_t sizes[] = {area(code), area(read_only), area(read_write)};
    size_ = sizes[0] + sizes[1] + sizes[2];
    void* base = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) return;  // the allocations below fail
    base_ = static_cast<uint8_t*>(base);
    uint8_t* start = base_;
    for (int i = 0; i < 3; ++i) {
      areas_[i] = {start, start, start + sizes[i]};
      start += sizes[i];
    }
  }

  uint8_t* allocateCodeSection(uintptr_t size, unsigned align, unsigned, StringRef) override {
    return allocate(areas_[0], size, align);
  }

  uint8_t* allocateDataSection(uintptr_t size, unsigned align, unsigned, StringRef,
                               bool read_only) override {
    return allocate(areas_[read_only ? 1 : 2], size, align);
  }

  /// True on failure.
  bool finalizeMemory(std::string* message) override {
    const Area &code = areas_[0], &data = areas_[1];
    if (!base_ || mprotect(code.start, code.end - code.start, PROT_READ | PROT_EXEC) ||
        mprotect(data.start, data.end - data.start, PROT_READ)) {
      if (message) *message = "the system refuses executable memory";
      return true;
    }
    llvm::sys::Memory::InvalidateInstructionCache(code.start, code.end - code.start);
    return false;
  }

  void registerEHFrames(uint8_t*, uint64_t, size_t) override {}
  void deregisterEHFrames() override {}

  size_t size() const { return size_; }

 private:
  struct Area {
    uint8_t *start = nullptr, *next = nullptr, *end = nullptr;
  };

  uint8_t* allocate(Area& area, uintptr_t size, unsigned align) {
    if (!area.start) return nullptr;
    auto* place = reinterpret_cast<uint8_t*>(
        llvm::alignTo(reinterpret_cast<uintptr_t>(area.next), align ? align : 16));
    if (place + size > area.end) return nullptr;
    area.next = place + size;
    return place;
  }

  uint8_t* base_ = nullptr;
  size_t size_ = 0;
  Area areas_[3];  // code, read-only data, data
};

class Symbols final : public llvm::LegacyJITSymbolResolver {
 public:
  llvm::JITSymbol findSymbol(const std::string& name) override {
    void* where = find_symbol(name);
    if (!where) return nullptr;
    return llvm::JITSymbol(reinterpret_cast<uint64_t>(where), llvm::JITSymbolFlags::Exported);
  }
  llvm::JITSymbol findSymbolInLogicalDylib(const std::string&) override { return nullptr; }
};

class Loaded final : public LoadedObject {
 public:
  void* find(const std::string& symbol) const override {
    auto it = functions.find(symbol);
    return it == functions.end() ? nullptr : it->second;
  }
  size_t bytes() const override { return sections.size(); }

  Sections sections;
  std::map<std::string, void*> functions;
};

/// Names every symbol that neither the object nor the runtime has.
Result<void> check_undefined(const llvm::object::ObjectFile& file) {
  for (const llvm::object::SymbolRef& symbol : file.symbols()) {
    auto flags = symbol.getFlags();
    if (!flags) return llvm_error(flags.takeError());
    if (!(*flags & llvm::object::SymbolRef::SF_Undefined)) continue;
    auto name = symbol.getName();
    if (!name) return llvm_error(name.takeError());
    if (name->empty() || *name == "_GLOBAL_OFFSET_TABLE_") continue;
    if (!find_symbol(*name))
      return Error{"the compiled kernel calls " + name->str() + ", which does not exist here"};
  }
  return {};
}

}  // namespace

Result<ObjectBytes> emit_object(llvm::Module& module, llvm::TargetMachine& target) {
  return emit<ObjectBytes>(module, target, llvm::CodeGenFileType::ObjectFile);
}

Result<std::string> emit_assembly(llvm::Module& module, llvm::TargetMachine& target) {
  return emit<std::string>(module, target, llvm::CodeGenFileType::AssemblyFile);
}

Result<uint32_t> stack_bytes(const ObjectBytes& object) {
  auto file = open(object);
  if (!file) return llvm_error(file.takeError());
  uint64_t total = 0;
  for (const llvm::object::SectionRef& section : (*file)->sections()) {
    auto name = section.getName();
    if (!name) return llvm_error(name.takeError());
    if (*name != ".stack_sizes") continue;
    auto contents = section.getContents();
    if (!contents) return llvm_error(contents.takeError());
    // Entries of an address, to be relocated, and the frame's size.
    llvm::DataExtractor data(*contents, true, 8);
    for (uint64_t at = 0; at < contents->size();) {
      data.getAddress(&at);
      total += data.getULEB128(&at) + 16;  // return address and padding
    }
  }
  if (total > UINT32_MAX / 2)
    return Error{"the compiled kernel needs " + std::to_string(total) + " bytes of stack"};
  return uint32_t(total);
}

Result<std::unique_ptr<LoadedObject>> load_object(const ObjectBytes& object) {
  auto file = open(object);
  if (!file) return llvm_error(file.takeError());
  if (auto known = check_undefined(**file); !known) return known.take_error();
  auto loaded = std::make_unique<Loaded>();
  Symbols symbols;
  llvm::RuntimeDyld linker(loaded->sections, symbols);
  auto info = linker.loadObject(**file);
  if (!info || linker.hasError()) return Error{linker.getErrorString().str()};
  linker.resolveRelocations();
  if (linker.hasError()) return Error{linker.getErrorString().str()};
  std::string message;
  if (loaded->sections.finalizeMemory(&message)) return Error{message};
  for (const auto& [name, symbol] : linker.getSymbolTable())
    loaded->functions[name.str()] = reinterpret_cast<void*>(symbol.getAddress());
  return std::unique_ptr<LoadedObject>(std::move(loaded));
}

}  // namespace mfa::jit
