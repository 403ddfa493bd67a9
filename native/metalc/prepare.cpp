// SPDX-License-Identifier: MIT
// Takes initialisers off threadgroup variables and reports types that MSL does not have.
#include "metalc/prepare.h"

#include "clang/AST/ASTContext.h"
#include "clang/AST/Attr.h"
#include "clang/AST/RecursiveASTVisitor.h"
#include "clang/Basic/Diagnostic.h"
#include "clang/Basic/SourceManager.h"
#include "clang/Sema/Sema.h"
#include "clang/Sema/SemaConsumer.h"

namespace mfa::metalc {
namespace {

class Visitor : public clang::RecursiveASTVisitor<Visitor> {
 public:
  explicit Visitor(clang::ASTContext& context) : context_(context) {}

  bool shouldVisitTemplateInstantiations() const { return false; }

  // Nobody could run it: threads of a group start together. What the type's constructor asks for
  // is left to the kernel, as Metal does.
  bool VisitVarDecl(clang::VarDecl* variable) {
    clang::QualType element = context_.getBaseElementType(variable->getType());
    keep_derived_constant(variable, element);
    check_place(variable, element);
    if (element.getAddressSpace() != clang::LangAS::sycl_local || !variable->hasInit()) return true;
    bool written = variable->getInitStyle() != clang::VarDecl::CallInit ||
                   !llvm::isa<clang::CXXConstructExpr>(variable->getInit()->IgnoreImplicit());
    if (written && !variable->isInvalidDecl())
      error(variable->getLocation(),
            "variable '%0' in threadgroup memory cannot have an initialiser")
          << variable->getName();
    variable->setInit(nullptr);
    return true;
  }

  void check_place(clang::VarDecl* variable, clang::QualType element) {
    if (!variable->hasGlobalStorage() || variable->isInvalidDecl() ||
        element.getAddressSpace() != clang::LangAS::Default ||
        variable->getType()->isReferenceType())
      return;
    error(variable->getLocation(),
          "variable '%0' outside of functions, or static, must be in the "
          "'constant' address space")
        << variable->getName();
  }

  // What is computed from function constants may serve as the condition of an argument only, which
  // the code generator does not see as a use.
  void keep_derived_constant(clang::VarDecl* variable, clang::QualType element) {
    if (element.getAddressSpace() != clang::LangAS::sycl_global_host ||
        !variable->isFileVarDecl() || !variable->hasInit() || variable->isConstexpr() ||
        variable->isInvalidDecl())
      return;
    if (!variable->getInit()->isInstantiationDependent() &&
        !variable->getInit()->isConstantInitializer(context_, false))
      variable->addAttr(clang::UsedAttr::CreateImplicit(context_));
  }

  bool VisitBuiltinTypeLoc(clang::BuiltinTypeLoc type) {
    clang::BuiltinType::Kind kind = type.getTypePtr()->getKind();
    if (kind == clang::BuiltinType::Double || kind == clang::BuiltinType::LongDouble)
      error(type.getBeginLoc(), "type '%0' does not exist in Metal")
          << (kind == clang::BuiltinType::Double ? "double" : "long double");
    return true;
  }

  bool VisitCXXNewExpr(clang::CXXNewExpr* expression) {
    error(expression->getBeginLoc(), "Metal has no '%0'") << "new";
    return true;
  }

 private:
  template <size_t n>
  clang::DiagnosticBuilder error(clang::SourceLocation at, const char (&text)[n]) {
    clang::DiagnosticsEngine& diagnostics = context_.getDiagnostics();
    return diagnostics.Report(at,
                              diagnostics.getCustomDiagID(clang::DiagnosticsEngine::Error, text));
  }
  clang::ASTContext& context_;
};

class Preparer final : public clang::SemaConsumer {
 public:
  // The suffix of half literals is an OpenCL extension.
  void InitializeSema(clang::Sema& sema) override { sema.getOpenCLOptions().enable("cl_khr_fp16"); }
  void Initialize(clang::ASTContext& context) override { context_ = &context; }
  bool HandleTopLevelDecl(clang::DeclGroupRef group) override {
    for (clang::Decl* decl : group) {
      if (!context_->getSourceManager().isInSystemHeader(decl->getLocation()))
        Visitor(*context_).TraverseDecl(decl);
    }
    return true;
  }

 private:
  clang::ASTContext* context_ = nullptr;
};

}  // namespace

std::unique_ptr<clang::ASTConsumer> make_preparer() { return std::make_unique<Preparer>(); }

}  // namespace mfa::metalc
