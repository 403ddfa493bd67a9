// SPDX-License-Identifier: MIT
// Teaches clang MSL's attributes: each becomes an annotation that the kernel reader looks up.
#include "metalc/attributes.h"

#include "clang/AST/ASTContext.h"
#include "clang/AST/DeclCXX.h"
#include "clang/AST/DeclTemplate.h"
#include "clang/AST/Expr.h"
#include "clang/Basic/DiagnosticSema.h"
#include "clang/Basic/ParsedAttrInfo.h"
#include "clang/Sema/Lookup.h"
#include "clang/Sema/ParsedAttr.h"
#include "clang/Sema/Sema.h"
#include "llvm/ADT/StringSwitch.h"

namespace mfa::metalc {
namespace {

enum class Subject { parameter, builtin, parameter_or_variable, function, anything };

struct Definition {
  const char* name;  // as it is spelled in [[...]] or, for functions, in __attribute__((...))
  Subject subject;
  unsigned arguments;
};

constexpr Definition kDefinitions[] = {
    {"buffer", Subject::parameter, 1},
    {"threadgrou_", Subject::parameter, 1},
    {"function_constant", Subject::parameter_or_variable, 1},
    {"mfa_kernel", Subject::function, 0},
    {"mfa_host_name", Subject::function, 1},
    {"mfa_max_threads", Subject::function, 1},
    {"mfa_threadgroup", Subject::anything, 0},
    {"mfa_air", Subject::function, 1},
    {"thread_position_in_grid", Subject::builtin, 0},
    {"thread_position_in_threadgroup", Subject::builtin, 0},
    {"threadgroup_position_in_grid", Subject::builtin, 0},
    {"threads_per_grid", Subject::builtin, 0},
    {"threadgroups_per_grid", Subject::builtin, 0},
    {"threads_per_threadgroup", Subject::builtin, 0},
    {"thread_index_in_threadgroup", Subject::builtin, 0},
    {"thread_index_in_simdgroup", Subject::builtin, 0},
    {"simdgroup_index_in_threadgroup", Subject::builtin, 0},
    {"simdgroups_per_threadgroup", Subject::builtin, 0},
    {"threads_per_simdgroup", Subject::builtin, 0},
    {"thread_index_in_quadgroup", Subject::builtin, 0},
    {"quadgroup_index_in_threadgroup", Subject::builtin, 0},
    {"quadgroups_per_threadgroup", Subject::builtin, 0},
    {"dispatch_threads_per_threadgroup", Subject::builtin, 0},
    {"dispatch_simdgroups_per_threadgroup", Subject::builtin, 0},
    {"dispatch_quadgroups_per_threadgroup", Subject::builtin, 0},
    {"grid_origin", Subject::builtin, 0},
    {"grid_size", Subject::builtin, 0},
    {"thread_execution_width", Subject::builtin, 0},
};

const char* describe(Subject subject) {
  switch (subject) {
    case Subject::parameter:
    case Subject::builtin:
      return "kernel parameters";
    case Subject::parameter_or_variable:
      return "constants and kernel parameters";
    case Subject::function:
      return "functions";
    case Subject::anything:
      break;
  }
  return "";
}

bool fits(Subject subject, const clang::Decl* decl) {
  switch (subject) {
    case Subject::parameter:
    case Subject::builtin:
      return llvm::isa<clang::ParmVarDecl>(decl);
    case Subject::parameter_or_variable:
      return llvm::isa<clang::VarDecl>(decl);
    case Subject::function:
      return llvm::isa<clang::FunctionDecl>(decl) || llvm::isa<clang::FunctionTemplateDecl>(decl);
    case Subject::anything:
      return true;
  }
  return false;
}

// A function constant has no initialiser: its value comes with the pipeline.
void declare_function_constant(clang::Sema& sema, clang::VarDecl* variable,
                               const clang::ParsedAttr& attribute) {
  if (variable->getType().getAddressSpace() != clang::LangAS::sycl_global_host) {
    unsigned id = sema.Diags.getCustomDiagID(
        clang::DiagnosticsEngine::Error,
        "'function_constant' needs a variable in the 'constant' address space");
    sema.Diag(attribute.getLoc(), id);
    return;
  }
  variable->setStorageClass(clang::SC_Extern);
}

// A variable of a function that lies in threadgroup memory is one object per threadgroup.
void place_in_threadgroup(clang::Sema& sema, clang::Decl* decl) {
  auto* variable = llvm::dyn_cast<clang::VarDecl>(decl);
  if (!variable || llvm::isa<clang::ParmVarDecl>(variable) || !variable->isLocalVarDecl()) return;
  clang::QualType element = sema.Context.getBaseElementType(variable->getType());
  if (element.getAddressSpace() == clang::LangAS::sycl_local)
    variable->setStorageClass(clang::SC_Static);
}

// The parser takes a lone identifier for a name of its own; here it is that of a constant.
clang::Expr* expression(clang::Sema& sema, const clang::ParsedAttr& attribute) {
  if (attribute.isArgExpr(0)) return attribute.getArgAsExpr(0);
  clang::IdentifierLoc* name = attribute.getArgAsIdent(0);
  clang::LookupResult found(sema, name->Ident, name->Loc, clang::Sema::LookupOrdinaryName);
  sema.LookupName(found, sema.getCurScope());
  if (found.empty()) {
    sema.Diag(name->Loc, clang::diag::err_undeclared_var_use) << name->Ident;
    return nullptr;
  }
  clang::ExprResult result = sema.BuildDeclarationNameExpr(clang::CXXScopeSpec(), found, false);
  return result.isInvalid() ? nullptr : result.get();
}

class Handler : public clang::ParsedAttrInfo {
 public:
  explicit Handler(const Definition& definition) : definition_(definition) {
    NumArgs = definition.arguments;
    spelling_[0] = {clang::AttributeCommonInfo::AS_GNU, definition.name};
    spelling_[1] = {clang::AttributeCommonInfo::AS_CXX11, definition.name};
    Spellings = spelling_;
  }

  bool diagAppertainsToDecl(clang::Sema& sema, const clang::ParsedAttr& attribute,
                            const clang::Decl* decl) const override {
    if (fits(definition_.subject, decl)) return true;
    unsigned id = sema.Diags.getCustomDiagID(clang::DiagnosticsEngine::Error,
                                             "attribute '%0' only applies to %1");
    sema.Diag(attribute.getLoc(), id) << spelled() << describe(definition_.subject);
    return false;
  }

  AttrHandling handleDeclAttribute(clang::Sema& sema, clang::Decl* decl,
                                   const clang::ParsedAttr& attribute) const override {
    llvm::StringRef name = definition_.name;
    if (name == "mfa_threadgroup") {
      place_in_threadgroup(sema, decl);
      return AttributeApplied;
    }
    if (name == "function_constant" && !llvm::isa<clang::ParmVarDecl>(decl))
      declare_function_constant(sema, llvm::cast<clang::VarDecl>(decl), attribute);
    clang::Expr* argument = definition_.arguments ? expression(sema, attribute) : nullptr;
    if (definition_.arguments && !argument) return AttributeNotApplied;
    std::string text =
        "mfa." + std::string(definition_.subject == Subject::builtin ? "builtin." : "") + spelled();
    if (argument && argument->isInstantiationDependent()) {
      // Only this kind is instantiated along with a template. It wants constants.
      decl->addAttr(clang::AnnotateAttr::Create(sema.Context, text, &argument, 1, attribute));
    } else {
      // The code generator, which would emit the other kind, passes this one over.
      decl->addAttr(clang::AnnotateTypeAttr::Create(sema.Context, text, &argument, argument ? 1 : 0,
                                                    attribute));
    }
    if (name == "mfa_kernel")
      decl->addAttr(clang::UsedAttr::CreateImplicit(sema.Context, attribute.getRange()));
    return AttributeApplied;
  }

 private:
  // The name without what makes it unique for the parser.
  std::string spelled() const {
    llvm::StringRef name = definition_.name;
    if (name == "threadgrou_") return "threadgroup";
    name.consume_front("mfa_");
    return name.str();
  }

  const Definition& definition_;
  Spelling spelling_[2];
};

// clang's registry makes objects through default constructors, so each entry needs a type.
template <size_t index>
struct Registered final : Handler {
  Registered() : Handler(kDefinitions[index]) {}
};

template <size_t index>
void add() {
  static clang::ParsedAttrInfoRegistry::Add<Registered<index>> entry(kDefinitions[index].name, "");
}

template <size_t... index>
void add_all(std::index_sequence<index...>) {
  (add<index>(), ...);
}

}  // namespace

std::optional<Attribute> find_attribute(const clang::Decl* decl, llvm::StringRef name) {
  std::string text = ("mfa." + name).str();
  for (const auto* found : decl->specific_attrs<clang::AnnotateTypeAttr>()) {
    if (found->getAnnotation() == text)
      return Attribute{found->getLocation(), found->args_size() ? *found->args_begin() : nullptr};
  }
  for (const auto* found : decl->specific_attrs<clang::AnnotateAttr>()) {
    if (found->getAnnotation() == text)
      return Attribute{found->getLocation(), found->args_size() ? *found->args_begin() : nullptr};
  }
  return std::nullopt;
}

std::optional<uint64_t> Attribute::number(const clang::ASTContext& context) const {
  clang::Expr::EvalResult result;
  if (!argument || argument->isValueDependent() || !argument->EvaluateAsInt(result, context))
    return std::nullopt;
  const llvm::APSInt& value = result.Val.getInt();
  if (value.isNegative() || value.getActiveBits() > 32) return std::nullopt;
  return value.getZExtValue();
}

const clang::Expr* Attribute::written() const {
  const clang::Expr* result = argument ? argument->IgnoreParenImpCasts() : nullptr;
  if (const auto* full = llvm::dyn_cast_or_null<clang::ConstantExpr>(result))
    result = full->getSubExpr()->IgnoreParenImpCasts();
  return result;
}

std::string Attribute::string() const {
  const auto* literal = llvm::dyn_cast_or_null<clang::StringLiteral>(written());
  return literal ? literal->getString().str() : "";
}

std::string find_builtin(const clang::Decl* decl) {
  for (const auto* attribute : decl->specific_attrs<clang::AnnotateTypeAttr>()) {
    llvm::StringRef text = attribute->getAnnotation();
    if (text.consume_front("mfa.builtin.")) return "air." + text.str();
  }
  return "";
}

void register_attributes() { add_all(std::make_index_sequence<std::size(kDefinitions)>()); }

}  // namespace mfa::metalc
