// SPDX-License-Identifier: MIT
// Calls of scalar air.* functions -> LLVM intrinsics, plain arithmetic or calls of air/builtins.
#include "air/lower_calls.h"

#include <llvm/IR/Instructions.h>
#include <llvm/IR/Module.h>

namespace mfa::air {
namespace {

bool starts_with_any(llvm::StringRef name, std::initializer_list<const char*> prefixes) {
  for (const char* prefix : prefixes)
    if (name.starts_with(prefix)) return true;
  return false;
}

/// Strips "air.", and gives two functions of Metal's run-time library that stay external their
/// name.
bool scalar_name(llvm::StringRef& name) {
  if (name == "___metal_ilogb_float")
    name = "ilogb";
  else if (name == "___metal_frexp_float_pthreadint32")
    name = "frexp";
  else
    return name.consume_front("air.");
  return true;
}

/// Apple's declarations leave out that these only exchange registers; without it no load could be
/// forwarded across them.
void annotate(llvm::Function& function) {
  const llvm::StringRef name = function.getName();
  if (starts_with_any(name, {"air.simd_", "air.quad_", "air.simdgroup_matrix_8x8_init",
                             "air.simdgroup_matrix_8x8_multiply"})) {
    function.setDoesNotAccessMemory();
    function.setConvergent();
    function.addFnAttr(llvm::Attribute::WillReturn);
    function.setDoesNotThrow();
  } else if (starts_with_any(name,
                             {"air.get_simdgroup_size", "air.get_thread_index_in_simdgroup"})) {
    function.setDoesNotAccessMemory();
    function.addFnAttr(llvm::Attribute::WillReturn);
    function.setDoesNotThrow();
  } else if (starts_with_any(name, {"air.wg.barrier", "air.simdgroup.barrier",
                                    "air.simdgroup_matrix_", "air.simdgroup_async_copy"})) {
    function.setConvergent();
    function.setDoesNotThrow();
  }
}

// Operands of each function: r = the type of the result, f = a float, i = an integer, p = a
// pointer. Bitcode can declare a name with any type; what does not match is left alone and refused
// by name.
constexpr struct {
  const char* op;
  const char* operands;
} kSignatures[] = {
    {"abs", "r"},       {"abs_diff", "rr"},
    {"acos", "r"},      {"acosh", "r"},
    {"add_sat", "rr"},  {"asin", "r"},
    {"asinh", "r"},     {"atan", "r"},
    {"atan2", "rr"},    {"atanh", "r"},
    {"ceil", "r"},      {"clamp", "rrr"},
    {"clz", "ri"},      {"copysign", "rr"},
    {"cos", "r"},       {"cosh", "r"},
    {"cospi", "r"},     {"ctz", "ri"},
    {"exp", "r"},       {"exp10", "r"},
    {"exp2", "r"},      {"extract_bits", "rii"},
    {"fabs", "r"},      {"floor", "r"},
    {"fma", "rrr"},     {"fmax", "rr"},
    {"fmax3", "rrr"},   {"fmedian3", "rrr"},
    {"fmin", "rr"},     {"fmin3", "rrr"},
    {"fmod", "rr"},     {"fract", "r"},
    {"frexp", "rp"},    {"hadd", "rr"},
    {"ilogb", "f"},     {"insert_bits", "rrii"},
    {"ldexp", "ri"},    {"log", "r"},
    {"log10", "r"},     {"log2", "r"},
    {"mad24", "rrr"},   {"mad_hi", "rrr"},
    {"mad_sat", "rrr"}, {"max", "rr"},
    {"max3", "rrr"},    {"median3", "rrr"},
    {"min", "rr"},      {"min3", "rrr"},
    {"modf", "rp"},     {"mul24", "rr"},
    {"mul_hi", "rr"},   {"nextafter", "rr"},
    {"popcount", "r"},  {"pow", "rr"},
    {"powr", "rr"},     {"reverse_bits", "r"},
    {"rhadd", "rr"},    {"rint", "r"},
    {"rotate", "rr"},   {"round", "r"},
    {"rsqrt", "r"},     {"saturate", "r"},
    {"sign", "r"},      {"sin", "r"},
    {"sincos", "rp"},   {"sinh", "r"},
    {"sinpi", "r"},     {"sqrt", "r"},
    {"sub_sat", "rr"},  {"tan", "r"},
    {"tanh", "r"},      {"tanpi", "r"},
    {"trunc", "r"},
};

bool is_number(const llvm::Type* type) {
  const llvm::Type* scalar = type->getScalarType();
  return (scalar->isIntegerTy() && scalar->getIntegerBitWidth() <= 64) || scalar->isFloatTy() ||
         scalar->isHalfTy() || scalar->isBFloatTy();
}

bool operand_fits(char expected, const llvm::Type* type, const llvm::Type* result) {
  switch (expected) {
    case 'f':
      return type->isFPOrFPVectorTy();
    case 'i':
      return type->isIntOrIntVectorTy();
    case 'p':
      return type->isPointerTy();
    default:
      return type == result;
  }
}

bool well_formed(const AirCall& call) {
  for (const llvm::Value* operand : call.call.args())
    if (!operand->getType()->isPointerTy() && !is_number(operand->getType())) return false;
  for (const auto& signature : kSignatures) {
    if (call.op != signature.op) continue;
    const llvm::StringRef operands = signature.operands;
    if (operands.size() != call.call.arg_size() || !is_number(call.type())) return false;
    for (unsigned i = 0; i < operands.size(); ++i)
      if (!operand_fits(operands[i], call.arg(i)->getType(), call.type())) return false;
  }
  return true;
}

/// A copy is done when its call returns, so its event carries nothing.
llvm::Value* lower_events(const AirCall& call) {
  if (call.op.starts_with("simdgroup_async_copy")) {
    if (call.type()->isPointerTy() && !call.call.use_empty())
      call.call.replaceAllUsesWith(llvm::Constant::getNullValue(call.type()));
    return nullptr;  // the copy itself stays
  }
  if (call.op == "wait_simdgroup_events") return llvm::PoisonValue::get(call.type());
  return nullptr;
}

}  // namespace

llvm::Value* AirCall::arg(unsigned i) const { return call.getArgOperand(i); }
llvm::Type* AirCall::type() const { return call.getType(); }

llvm::Value* per_component(llvm::IRBuilder<>& builder, llvm::ArrayRef<llvm::Value*> operands,
                           llvm::Type* result,
                           llvm::function_ref<llvm::Value*(llvm::ArrayRef<llvm::Value*>)> make) {
  const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(result);
  if (!vector) return make(operands);
  llvm::Value* out = llvm::PoisonValue::get(result);
  for (unsigned i = 0; i < vector->getNumElements(); ++i) {
    llvm::SmallVector<llvm::Value*, 4> scalars;
    for (llvm::Value* operand : operands)
      scalars.push_back(operand->getType()->isVectorTy() ? builder.CreateExtractElement(operand, i)
                                                         : operand);
    out = builder.CreateInsertElement(out, make(scalars), i);
  }
  return out;
}

void lower_calls(llvm::Module& module) {
  for (llvm::Function& function : llvm::make_early_inc_range(module.functions())) {
    llvm::StringRef name = function.getName();
    if (!function.isDeclaration() || !scalar_name(name)) continue;
    annotate(function);
    const bool fast = name.consume_front("fast_");
    const auto [op, suffix] = name.split('.');
    for (llvm::User* user : llvm::make_early_inc_range(function.users())) {
      auto* instruction = llvm::dyn_cast<llvm::CallInst>(user);
      if (!instruction || instruction->getCalledFunction() != &function) continue;
      const AirCall call{*instruction, op, suffix, fast};
      llvm::IRBuilder<> builder(instruction);
      llvm::Value* value = lower_events(call);
      if (!value && !well_formed(call)) continue;
      if (!value) value = lower_convert(call, builder);
      if (!value) value = lower_float(call, builder);
      if (!value) value = lower_integer(call, builder);
      if (!value) value = lower_pack(call, builder);
      if (!value) continue;
      if (!instruction->getType()->isVoidTy()) instruction->replaceAllUsesWith(value);
      instruction->eraseFromParent();
    }
    if (function.use_empty()) function.eraseFromParent();
  }
}

}  // namespace mfa::air
