// SPDX-License-Identifier: MIT
// Reads kernels and function constants out of the tree and checks what MSL asks of them.
#include "metalc/kernels.h"

#include <map>
#include <set>

#include "clang/AST/DeclCXX.h"
#include "clang/AST/DeclTemplate.h"
#include "clang/AST/Mangle.h"
#include "clang/Basic/Diagnostic.h"
#include "clang/Basic/SourceManager.h"
#include "metalc/attributes.h"
#include "metalc/target.h"
#include "metalc/type_names.h"

namespace mfa::metalc {
namespace {

using Language = clang::LangAS;

unsigned address_space(clang::QualType pointee) {
  switch (pointee.getAddressSpace()) {
    case Language::sycl_global_device:
      return as_device;
    case Language::sycl_global_host:
      return as_constant;
    case Language::sycl_local:
      return as_threadgroup;
    default:
      return as_thread;
  }
}

class Collector {
 public:
  Collector(clang::ASTContext& context, clang::CodeGenerator& codegen, Unit& unit)
      : context_(context), codegen_(codegen), unit_(unit) {}

  void context(const clang::DeclContext* scope) {
    for (const clang::Decl* decl : scope->decls()) {
      if (const auto* space = llvm::dyn_cast<clang::NamespaceDecl>(decl)) context(space);
      if (const auto* linkage = llvm::dyn_cast<clang::LinkageSpecDecl>(decl)) context(linkage);
      if (const auto* function = llvm::dyn_cast<clang::FunctionDecl>(decl)) kernel(function);
      if (const auto* variable = llvm::dyn_cast<clang::VarDecl>(decl)) constant(variable);
      if (const auto* made = llvm::dyn_cast<clang::FunctionTemplateDecl>(decl)) {
        for (const clang::FunctionDecl* function : made->specializations()) kernel(function);
      }
    }
  }

 private:
  template <size_t n>
  clang::DiagnosticBuilder error(clang::SourceLocation at, const char (&text)[n]) {
    clang::DiagnosticsEngine& diagnostics = context_.getDiagnostics();
    // Not into the macros that stand for MSL's keywords.
    return diagnostics.Report(context_.getSourceManager().getExpansionLoc(at),
                              diagnostics.getCustomDiagID(clang::DiagnosticsEngine::Error, text));
  }

  void constant(const clang::VarDecl* variable) {
    auto attribute = find_attribute(variable, "function_constant");
    if (!attribute || variable->isInvalidDecl()) return;
    auto index = attribute->number(context_);
    if (!index || *index > 65535) {
      error(attribute->location, "index of a function constant must be between 0 and 65535");
      return;
    }
    if (const clang::VarDecl*& other = constants_[*index]; other) {
      error(variable->getLocation(), "function constant %0 has the same index as '%1'")
          << static_cast<unsigned>(*index) << other->getName();
      return;
    } else {
      other = variable;
    }
    clang::QualType type = variable->getType().getCanonicalType().getUnqualifiedType();
    clang::QualType element = type;
    if (VectorShape shape = vector_shape(type); shape.length && !shape.packed)
      element = shape.element;
    if (!element->isArithmeticType()) {
      error(variable->getLocation(), "type %0 cannot be that of a function constant") << type;
      return;
    }
    FunctionConstant result;
    result.symbol = codegen_.GetMangledName(clang::GlobalDecl(variable)).str();
    result.name = variable->getNameAsString();
    result.type = type_name(type, context_);
    result.index = static_cast<uint32_t>(*index);
    std::unique_ptr<clang::ItaniumMangleContext> mangler(
        clang::ItaniumMangleContext::create(context_, context_.getDiagnostics()));
    std::string code;
    llvm::raw_string_ostream out(code);
    mangler->mangleCanonicalTypeName(element.getUnqualifiedType(), out);
    result.code = llvm::StringRef(code).ltrim("_ZTS").str();
    unit_.constants.push_back(std::move(result));
  }

  void kernel(const clang::FunctionDecl* function) {
    auto attribute = find_attribute(function, "kernel");
    if (!attribute || !function->isThisDeclarationADefinition() || function->isInvalidDecl() ||
        function->isDependentContext())
      return;
    // A template's implicit instantiations are calls from other kernels, not kernels.
    clang::TemplateSpecializationKind made = function->getTemplateSpecializationKind();
    if (made == clang::TSK_ImplicitInstantiation) return;
    if (!function->getReturnType()->isVoidType()) {
      error(function->getLocation(), "kernel must have void return type");
      return;
    }
    Kernel result;
    result.explicit_instantiation = made == clang::TSK_ExplicitInstantiationDefinition;
    result.symbol = codegen_.GetMangledName(clang::GlobalDecl(function)).str();
    result.name = kernel_name(function);
    if (auto limit = find_attribute(function, "max_threads")) {
      auto number = limit->number(context_);
      if (!number || *number == 0 || *number > 1024) {
        error(limit->location, "'max_total_threads_per_threadgroup' must be between 1 and 1024");
        return;
      }
      result.max_threads = static_cast<uint32_t>(*number);
    }
    if (const clang::FunctionDecl*& other = names_[result.name]; other) {
      error(function->getLocation(), "a kernel named '%0' exists already") << result.name;
      return;
    } else {
      other = function;
    }
    const clang::FunctionDecl* pattern = function->getTemplateInstantiationPattern();
    if (!pattern) pattern = function;
    for (unsigned i = 0; i < function->getNumParams(); ++i) {
      // A parameter pack would shift the pattern's parameters; kernels cannot have one.
      const clang::ParmVarDecl* written =
          i < pattern->getNumParams() ? pattern->getParamDecl(i) : function->getParamDecl(i);
      auto argument = read(function->getParamDecl(i), written);
      if (!argument) return;
      result.arguments.push_back(std::move(*argument));
    }
    if (!assign_slots(function, result)) return;
    unit_.kernels.push_back(std::move(result));
  }

  std::string kernel_name(const clang::FunctionDecl* function) {
    if (auto name = find_attribute(function, "host_name")) {
      std::string text = name->string();
      if (text.empty()) error(name->location, "'host_name' must be a string");
      return text;
    }
    if (function->isFunctionTemplateSpecialization())
      return codegen_.GetMangledName(clang::GlobalDecl(function)).str();
    return function->getQualifiedNameAsString();
  }

  std::optional<Argument> read(const clang::ParmVarDecl* parameter,
                               const clang::ParmVarDecl* written) {
    Argument result;
    result.name = parameter->getNameAsString();
    if (auto guard = find_attribute(written, "function_constant")) {
      const clang::VarDecl* variable = predicate(*guard);
      if (!variable) return std::nullopt;
      result.predicate = codegen_.GetMangledName(clang::GlobalDecl(variable)).str();
      result.predicate_name = variable->getNameAsString();
    }
    clang::QualType type = parameter->getType();
    if (std::string kind = find_builtin(written); !kind.empty())
      return builtin(parameter, kind, std::move(result));
    if (type->isPointerType() || type->isReferenceType())
      return buffer(parameter, written, std::move(result));
    error(parameter->getLocation(),
          "parameter '%0' of type %1 needs an attribute that says where a kernel gets it from, or "
          "must be a pointer or reference to 'device', 'constant' or 'threadgroup'")
        << parameter->getName() << type;
    return std::nullopt;
  }

  const clang::VarDecl* predicate(const Attribute& guard) {
    const auto* use = llvm::dyn_cast_or_null<clang::DeclRefExpr>(guard.written());
    const auto* variable = use ? llvm::dyn_cast<clang::VarDecl>(use->getDecl()) : nullptr;
    if (variable && variable->hasGlobalStorage() && variable->getType()->isBooleanType() &&
        address_space(variable->getType()) == as_constant)
      return variable;
    error(guard.location, "'function_constant' of a parameter must name a constant of type bool");
    return nullptr;
  }

  std::optional<Argument> builtin(const clang::ParmVarDecl* parameter, std::string kind,
                                  Argument result) {
    clang::QualType type = parameter->getType().getCanonicalType().getUnqualifiedType();
    VectorShape shape = vector_shape(type);
    clang::QualType element = shape.length ? shape.element : type;
    bool vector = llvm::StringRef(kind).contains("_in_grid") ||
                  llvm::StringRef(kind).contains("position") ||
                  llvm::StringRef(kind).contains("threads_per_grid") ||
                  llvm::StringRef(kind).contains("threadgroups_per_grid") ||
                  llvm::StringRef(kind).contains("threads_per_threadgroup") ||
                  kind == "air.grid_origin" || kind == "air.grid_size";
    bool scalar = element == context_.UnsignedIntTy || element == context_.UnsignedShortTy;
    if (!scalar || shape.packed || shape.length > 3 || (shape.length && !vector)) {
      error(parameter->getLocation(), "type %0 is not valid for attribute '%1'")
          << parameter->getType() << llvm::StringRef(kind).drop_front(4);
      return std::nullopt;
    }
    result.builtin = true;
    result.kind = std::move(kind);
    result.type = type_name(type, context_);
    return result;
  }

  std::optional<Argument> buffer(const clang::ParmVarDecl* parameter,
                                 const clang::ParmVarDecl* written, Argument result) {
    clang::QualType type = parameter->getType();
    clang::QualType pointee = type->getPointeeType();
    result.kind = "air.buffer";
    result.address_space = address_space(pointee);
    const char* what = type->isReferenceType() ? "reference" : "pointer";
    if (result.address_space == as_thread) {
      error(parameter->getLocation(),
            "%0 parameter '%1' of a kernel needs an address space: 'device', 'constant' or "
            "'threadgroup'")
          << what << parameter->getName();
      return std::nullopt;
    }
    bool threadgroup = result.address_space == as_threadgroup;
    if (auto wrong = find_attribute(written, threadgroup ? "buffer" : "threadgroup")) {
      error(wrong->location, "attribute '%0' does not fit a parameter in the '%1' address space")
          << (threadgroup ? "buffer" : "threadgroup")
          << (threadgroup                         ? "threadgroup"
              : result.address_space == as_device ? "device"
                                                  : "constant");
      return std::nullopt;
    }
    result.writable = !pointee.isConstQualified() && result.address_space != as_constant;
    result.sized = type->isReferenceType();
    if (const auto* array = context_.getAsConstantArrayType(pointee); array && !result.sized)
      result.sized = true;
    if (!pointee->isVoidType() && !pointee->isIncompleteType()) {
      result.size = static_cast<uint32_t>(context_.getTypeSizeInChars(pointee).getQuantity());
      result.align = static_cast<uint32_t>(context_.getTypeAlignInChars(pointee).getQuantity());
    }
    result.type = type_name(pointee, context_);
    result.members = members_of(pointee.getCanonicalType().getUnqualifiedType(), context_);
    if (auto place = find_attribute(written, threadgroup ? "threadgroup" : "buffer")) {
      auto slot = place->number(context_);
      if (!slot || *slot > 30) {
        error(place->location, "index of '%0' must be between 0 and 30")
            << (threadgroup ? "threadgroup" : "buffer");
        return std::nullopt;
      }
      result.slot = static_cast<uint32_t>(*slot);
    } else {
      result.slot = kUnassigned;
    }
    return result;
  }

  // Indices the source leaves out are given in order of appearance, each space on its own.
  bool assign_slots(const clang::FunctionDecl* function, Kernel& kernel) {
    std::map<std::pair<bool, uint32_t>, unsigned> used;
    for (unsigned i = 0; i < kernel.arguments.size(); ++i) {
      Argument& argument = kernel.arguments[i];
      if (argument.builtin || argument.slot == kUnassigned) continue;
      auto [place, fresh] =
          used.insert({{argument.address_space == as_threadgroup, argument.slot}, i});
      // Arguments that exist under different conditions may share a slot.
      const Argument& other = kernel.arguments[place->second];
      if (fresh || (!argument.predicate.empty() && !other.predicate.empty())) continue;
      error(function->getParamDecl(i)->getLocation(), "%0 index %1 is already used by '%2'")
          << (argument.address_space == as_threadgroup ? "threadgroup" : "buffer") << argument.slot
          << other.name;
      return false;
    }
    uint32_t next[2] = {0, 0};
    for (Argument& argument : kernel.arguments) {
      if (argument.builtin || argument.slot != kUnassigned) continue;
      bool threadgroup = argument.address_space == as_threadgroup;
      while (used.count({threadgroup, next[threadgroup]})) ++next[threadgroup];
      argument.slot = next[threadgroup]++;
    }
    return true;
  }

  static constexpr uint32_t kUnassigned = ~0u;
  clang::ASTContext& context_;
  clang::CodeGenerator& codegen_;
  Unit& unit_;
  std::map<uint64_t, const clang::VarDecl*> constants_;
  std::map<std::string, const clang::FunctionDecl*> names_;
};

}  // namespace

void collect_kernels(clang::ASTContext& context, clang::CodeGenerator& codegen, Unit& unit) {
  Collector(context, codegen, unit).context(context.getTranslationUnitDecl());
}

}  // namespace mfa::metalc
