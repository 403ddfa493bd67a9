// SPDX-License-Identifier: MIT
// Turns clang's types into MSL's spelling and into AIR's structure descriptions.
#include "metalc/type_names.h"

#include "clang/AST/DeclCXX.h"
#include "clang/AST/DeclTemplate.h"
#include "clang/AST/RecordLayout.h"
#include "llvm/ADT/StringSwitch.h"

namespace mfa::metalc {
namespace {

const clang::ClassTemplateSpecializationDecl* library_template(clang::QualType type) {
  const auto* record =
      llvm::dyn_cast_or_null<clang::ClassTemplateSpecializationDecl>(type->getAsCXXRecordDecl());
  if (!record) return nullptr;
  const auto* space = llvm::dyn_cast<clang::NamespaceDecl>(record->getDeclContext());
  return space && space->getName() == "metal" ? record : nullptr;
}

std::string scalar_name(const clang::BuiltinType* type, const clang::ASTContext& context) {
  switch (type->getKind()) {
    case clang::BuiltinType::Bool:
      return "bool";
    case clang::BuiltinType::Char_S:
    case clang::BuiltinType::SChar:
      return "char";
    case clang::BuiltinType::UChar:
    case clang::BuiltinType::Char_U:
      return "uchar";
    case clang::BuiltinType::Short:
      return "short";
    case clang::BuiltinType::UShort:
      return "ushort";
    case clang::BuiltinType::Int:
      return "int";
    case clang::BuiltinType::UInt:
      return "uint";
    case clang::BuiltinType::Long:
    case clang::BuiltinType::LongLong:
      return "long";
    case clang::BuiltinType::ULong:
    case clang::BuiltinType::ULongLong:
      return "ulong";
    case clang::BuiltinType::Half:
    case clang::BuiltinType::Float16:
      return "half";
    case clang::BuiltinType::BFloat16:
      return "bfloat";
    case clang::BuiltinType::Float:
      return "float";
    default:
      return type->getName(context.getPrintingPolicy()).str();
  }
}

}  // namespace

VectorShape vector_shape(clang::QualType type) {
  const auto* record = library_template(type);
  if (!record) return {};
  bool packed = record->getName() == "packed_vec";
  if (!packed && record->getName() != "vec") return {};
  const clang::TemplateArgumentList& arguments = record->getTemplateArgs();
  return {arguments[0].getAsType(),
          static_cast<unsigned>(arguments[1].getAsIntegral().getZExtValue()), packed};
}

std::string type_name(clang::QualType type, const clang::ASTContext& context) {
  type = type.getCanonicalType().getUnqualifiedType();
  if (const auto* builtin = type->getAs<clang::BuiltinType>()) return scalar_name(builtin, context);
  if (VectorShape shape = vector_shape(type); shape.length)
    return (shape.packed ? "packed_" : "") + type_name(shape.element, context) +
           std::to_string(shape.length);
  if (const auto* record = library_template(type); record && record->getName() == "atomic")
    return "atomic_" + type_name(record->getTemplateArgs()[0].getAsType(), context);
  if (const auto* enumeration = type->getAs<clang::EnumType>())
    return enumeration->getDecl()->getNameAsString();
  if (const auto* pointer = type->getAs<clang::PointerType>())
    return type_name(pointer->getPointeeType(), context);
  if (const auto* array = context.getAsArrayType(type))
    return type_name(array->getElementType(), context);
  clang::PrintingPolicy policy = context.getPrintingPolicy();
  policy.SuppressTagKeyword = policy.SuppressScope = true;
  return type.getAsString(policy);
}

std::vector<Member> members_of(clang::QualType type, const clang::ASTContext& context) {
  const auto* record = type->getAsCXXRecordDecl();
  if (!record || !record->hasDefinition() || library_template(type) || record->isUnion()) return {};
  const clang::ASTRecordLayout& layout = context.getASTRecordLayout(record->getDefinition());
  std::vector<Member> members;
  for (const clang::FieldDecl* field : record->getDefinition()->fields()) {
    clang::QualType element = field->getType();
    uint64_t length = 0;
    while (const auto* array = context.getAsConstantArrayType(element)) {
      length = (length ? length : 1) * array->getSize().getZExtValue();
      element = array->getElementType();
    }
    Member member;
    member.offset = static_cast<uint32_t>(layout.getFieldOffset(field->getFieldIndex()) / 8);
    member.size = static_cast<uint32_t>(context.getTypeSizeInChars(element).getQuantity());
    member.array_length = static_cast<uint32_t>(length);
    member.type = type_name(element, context);
    member.name = field->getNameAsString();
    member.members = members_of(element, context);
    members.push_back(std::move(member));
  }
  return members;
}

}  // namespace mfa::metalc
