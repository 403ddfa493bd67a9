// SPDX-License-Identifier: MIT
// Turns instantiations of the library's function templates into declarations of AIR intrinsics.
#include "metalc/intrinsics.h"

#include "clang/AST/DeclCXX.h"
#include "clang/Basic/SourceManager.h"
#include "llvm/IR/InstrTypes.h"
#include "llvm/IR/Module.h"
#include "metalc/attributes.h"
#include "metalc/target.h"

namespace mfa::metalc {
namespace {

std::string code(clang::QualType type, bool sign, const clang::ASTContext& context) {
  type = type.getCanonicalType().getUnqualifiedType();
  if (const auto* vector = type->getAs<clang::VectorType>()) {
    std::string element = code(vector->getElementType(), sign, context);
    size_t dot = element.find('.');
    std::string length = "v" + std::to_string(vector->getNumElements());
    return dot == std::string::npos ? length + element
                                    : element.substr(0, dot + 1) + length + element.substr(dot + 1);
  }
  if (const auto* pointer = type->getAs<clang::PointerType>()) {
    clang::QualType pointee = pointer->getPointeeType();
    unsigned space = context.getTargetAddressSpace(pointee.getAddressSpace());
    return "p" + std::to_string(space) + code(pointee, false, context);
  }
  if (type->isBooleanType()) return sign ? "u.i1" : "i1";
  if (type->isBFloat16Type()) return "bf16";
  std::string bits = std::to_string(context.getTypeSize(type));
  if (type->isFloatingType()) return "f" + bits;
  if (sign) return (type->isUnsignedIntegerType() ? "u.i" : "s.i") + bits;
  return "i" + bits;
}

std::string expand(llvm::StringRef pattern, const clang::FunctionDecl* function,
                   const clang::ASTContext& context) {
  std::string name = "air.";
  while (!pattern.empty()) {
    if (!pattern.consume_front("$")) {
      name += pattern.front();
      pattern = pattern.drop_front();
      continue;
    }
    if (pattern.consume_front("r")) {
      name += code(function->getReturnType(), false, context);
      continue;
    }
    bool space = pattern.consume_front("a");
    bool sign = pattern.consume_front("s");
    bool element = pattern.consume_front("e");
    unsigned index = static_cast<unsigned>(pattern.front() - '0');
    pattern = pattern.drop_front();
    clang::QualType type = function->getParamDecl(index)->getType();
    if (space) {
      clang::LangAS where = type->getPointeeType().getAddressSpace();
      name += context.getTargetAddressSpace(where) == as_threadgroup ? "local" : "global";
    } else {
      name += code(element ? type->getPointeeType() : type, sign, context);
    }
  }
  return name;
}

// clang marks every function convergent and its parameters with what fast math promises. Only what
// the library says is kept.
void set_attributes(llvm::Function& function, const clang::FunctionDecl* declared) {
  llvm::LLVMContext& context = function.getContext();
  llvm::AttrBuilder builder(context);
  builder.addAttribute(llvm::Attribute::NoUnwind);
  builder.addAttribute(llvm::Attribute::MustProgress);
  builder.addAttribute(llvm::Attribute::WillReturn);
  if (declared->hasAttr<clang::ConvergentAttr>()) builder.addAttribute(llvm::Attribute::Convergent);
  if (declared->hasAttr<clang::ConstAttr>()) {
    builder.addAttribute(llvm::Attribute::NoFree);
    builder.addAttribute(llvm::Attribute::NoSync);
    builder.addMemoryAttr(llvm::MemoryEffects::none());
  }
  llvm::AttributeList list =
      llvm::AttributeList::get(context, llvm::AttributeList::FunctionIndex, builder);
  function.setAttributes(list);
  for (llvm::User* user : function.users())
    if (auto* call = llvm::dyn_cast<llvm::CallBase>(user))
      call->setAttributes(llvm::AttributeList());
}

}  // namespace

void note_locations(const clang::ASTContext& context, clang::CodeGenerator& codegen, Unit& unit) {
  const clang::SourceManager& sources = context.getSourceManager();
  for (const llvm::Function& function : *codegen.GetModule()) {
    const clang::Decl* decl = codegen.GetDeclForMangledName(function.getName());
    if (!decl || sources.isInSystemHeader(decl->getLocation())) continue;
    clang::PresumedLoc place = sources.getPresumedLoc(decl->getLocation());
    if (place.isValid())
      unit.locations[function.getName().str()] = std::string(place.getFilename()) + ":" +
                                                 std::to_string(place.getLine()) + ":" +
                                                 std::to_string(place.getColumn());
  }
}

void name_intrinsics(const clang::ASTContext& context, clang::CodeGenerator& codegen,
                     llvm::Module& module) {
  for (llvm::Function& function : llvm::make_early_inc_range(module)) {
    if (!function.isDeclaration()) continue;
    const clang::Decl* decl = codegen.GetDeclForMangledName(function.getName());
    const auto* declared = llvm::dyn_cast_or_null<clang::FunctionDecl>(decl);
    auto attribute = declared ? find_attribute(declared, "air") : std::nullopt;
    if (!attribute) continue;
    set_attributes(function, declared);
    std::string name = expand(attribute->string(), declared, context);
    if (llvm::Function* other = module.getFunction(name); other != nullptr) {
      // Two types with one representation, `const` pointers for instance.
      function.replaceAllUsesWith(other);
      function.eraseFromParent();
    } else {
      function.setName(name);
    }
  }
}

}  // namespace mfa::metalc
