// SPDX-License-Identifier: MIT
// The name and type of an `air.*` function that survives specialisation -> an operation.
#include "simd/intrinsic.h"

#include <string>

#include "llvm/ADT/StringRef.h"
#include "llvm/IR/DerivedTypes.h"
#include "llvm/IR/Function.h"

namespace mfa::simd {
namespace {

using llvm::FunctionType;
using llvm::StringRef;
using llvm::Type;

/// What a signature has to look like; T is the type of the operation, N any integer type.
enum class Form : uint8_t {
  flags,         // void(N...)
  unary,         // T(T)
  indexed,       // T(T, N)
  filled,        // T(T, T, N, N)
  test,          // i1(i1)
  ballot,        // N(i1)
  vote,          // i1(N)
  mask,          // N()
  flag,          // i1()
  splat,         // <64 x T>(T)
  matrix_load,   // M(ptr, ...)
  matrix_store,  // void(M, ptr, ...)
  multiply,      // M(M, M, M)
  copy_1d,       // ptr(i64, i64, ptr, ptr, i64)
  copy_2d,       // ptr(i64, i64, ptr, i64, i64, v2, ptr, i64, i64, v2, v2, i32)
  wait,          // void(i32, ptr)
};

struct Entry {
  const char* name;
  Op op;
  Form form;
};

// Names after "air.", without the type suffix.
constexpr Entry plain[] = {
    {"wg.barrier", Op::threadgroup_barrier, Form::flags},
    {"simdgroup.barrier", Op::simdgroup_barrier, Form::flags},
    {"atomic.fence", Op::atomic_fence, Form::flags},
    {"simdgroup_matrix_8x8_init_filled", Op::matrix_fill, Form::splat},
    {"simdgroup_matrix_8x8_init_diag", Op::matrix_diagonal, Form::splat},
    {"simdgroup_matrix_8x8_load", Op::matrix_load, Form::matrix_load},
    {"simdgroup_matrix_8x8_store", Op::matrix_store, Form::matrix_store},
    {"simdgroup_matrix_8x8_multiply_accumulate", Op::matrix_multiply, Form::multiply},
    {"simdgroup_async_copy_1d", Op::async_copy_1d, Form::copy_1d},
    {"simdgroup_async_copy_2d", Op::async_copy_2d, Form::copy_2d},
    {"wait_simdgroup_events", Op::async_wait, Form::wait},
    {"get_simdgroup_size", Op::simdgroup_size, Form::mask},
    {"get_thread_index_in_simdgroup", Op::lane_index, Form::mask},
};

// Names after "air.simd_" or "air.quad_", without the type suffix.
constexpr Entry group[] = {
    {"sum", Op::sum, Form::unary},
    {"product", Op::product, Form::unary},
    {"min", Op::min, Form::unary},
    {"max", Op::max, Form::unary},
    {"and", Op::bit_and, Form::unary},
    {"or", Op::bit_or, Form::unary},
    {"xor", Op::bit_xor, Form::unary},
    {"prefix_inclusive_sum", Op::prefix_inclusive_sum, Form::unary},
    {"prefix_inclusive_product", Op::prefix_inclusive_product, Form::unary},
    {"prefix_exclusive_sum", Op::prefix_exclusive_sum, Form::unary},
    {"prefix_exclusive_product", Op::prefix_exclusive_product, Form::unary},
    {"all", Op::all, Form::test},
    {"any", Op::any, Form::test},
    {"ballot", Op::ballot, Form::ballot},
    {"vote_all", Op::vote_all, Form::vote},
    {"vote_any", Op::vote_any, Form::vote},
    {"active_threads_mask", Op::active_mask, Form::mask},
    {"is_first", Op::is_first, Form::flag},
    {"is_helper_thread", Op::is_helper, Form::flag},
    {"broadcast", Op::broadcast, Form::indexed},
    {"broadcast_first", Op::broadcast_first, Form::unary},
    {"shuffle", Op::shuffle, Form::indexed},
    {"shuffle_xor", Op::shuffle_xor, Form::indexed},
    {"shuffle_up", Op::shuffle_up, Form::indexed},
    {"shuffle_down", Op::shuffle_down, Form::indexed},
    {"shuffle_rotate_up", Op::shuffle_rotate_up, Form::indexed},
    {"shuffle_rotate_down", Op::shuffle_rotate_down, Form::indexed},
    {"shuffle_and_fill_up", Op::shuffle_fill_up, Form::filled},
    {"shuffle_and_fill_down", Op::shuffle_fill_down, Form::filled},
};

// Names after "air.atomic.global." or "air.atomic.local.", without the type suffix.
constexpr std::pair<const char*, Op> atomics[] = {
    {"add", Op::atomic_add},
    {"sub", Op::atomic_sub},
    {"min", Op::atomic_min},
    {"max", Op::atomic_max},
    {"and", Op::atomic_and},
    {"or", Op::atomic_or},
    {"xor", Op::atomic_xor},
    {"xchg", Op::atomic_exchange},
    {"load", Op::atomic_load},
    {"store", Op::atomic_store},
    {"cmpxchg.weak", Op::atomic_compare_exchange},
};

bool is_matrix_type(const Type* type) {
  auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type);
  return vector && vector->getNumElements() == 64 && vector->getElementType()->isFloatingPointTy();
}

bool is_pair(const Type* type) {
  auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type);
  return vector && vector->getNumElements() == 2 && vector->getElementType()->isIntegerTy(64);
}

/// True if `rest` is empty or goes on with a type suffix: "simd_sum" in "simd_sum.f32".
bool starts_with_word(StringRef rest, StringRef word) {
  return rest.starts_with(word) && (rest.size() == word.size() || rest[word.size()] == '.');
}

/// The longest entry is the only one that matches a whole word, so the first match will do.
const Entry* find(llvm::ArrayRef<Entry> table, StringRef name) {
  for (const Entry& entry : table)
    if (starts_with_word(name, entry.name)) return &entry;
  return nullptr;
}

/// Recognises the two operand lists of matrix loads and stores after the pointer.
bool matrix_address(llvm::ArrayRef<Type*> rest, bool& strided) {
  if (rest.size() != 3) return false;
  strided = is_pair(rest[0]);
  if (strided) return is_pair(rest[1]) && is_pair(rest[2]);
  return rest[0]->isIntegerTy(64) && is_pair(rest[1]) && rest[2]->isIntegerTy(1);
}

/// Checks `type` against `form`; sets `value` and `strided`.
bool match(Form form, const FunctionType& type, Intrinsic& out) {
  llvm::ArrayRef<Type*> params = type.params();
  Type* result = type.getReturnType();
  auto integer = [&](unsigned i) { return i < params.size() && params[i]->isIntegerTy(); };
  size_t n = params.size();
  switch (form) {
    case Form::flags:
      for (Type* p : params)
        if (!p->isIntegerTy()) return false;
      return result->isVoidTy();
    case Form::unary:
      out.value = result;
      return n == 1 && params[0] == result;
    case Form::indexed:
      out.value = result;
      return n == 2 && params[0] == result && integer(1);
    case Form::filled:
      out.value = result;
      return n == 4 && params[0] == result && params[1] == result && integer(2) && integer(3);
    case Form::test:
      out.value = result;
      return n == 1 && result->isIntegerTy(1) && params[0] == result;
    case Form::ballot:
      out.value = result;
      return n == 1 && result->isIntegerTy() && params[0]->isIntegerTy(1);
    case Form::vote:
      out.value = result;
      return n == 1 && result->isIntegerTy(1) && integer(0);
    case Form::mask:
      out.value = result;
      return n == 0 && result->isIntegerTy();
    case Form::flag:
      out.value = result;
      return n == 0 && result->isIntegerTy(1);
    case Form::splat:
      out.value = result;
      return n == 1 && is_matrix_type(result) && params[0] == result->getScalarType();
    case Form::matrix_load:
      out.value = result;
      return n == 4 && is_matrix_type(result) && params[0]->isPointerTy() &&
             matrix_address(params.drop_front(1), out.strided);
    case Form::matrix_store:
      if (n != 5) return false;
      out.value = params[0];
      return result->isVoidTy() && is_matrix_type(params[0]) && params[1]->isPointerTy() &&
             matrix_address(params.drop_front(2), out.strided);
    case Form::multiply:
      out.value = result;
      return n == 3 && is_matrix_type(result) && is_matrix_type(params[0]) &&
             is_matrix_type(params[1]) && is_matrix_type(params[2]);
    case Form::copy_1d:
      return n == 5 && result->isPointerTy() && integer(0) && integer(1) &&
             params[2]->isPointerTy() && params[3]->isPointerTy() && integer(4);
    case Form::copy_2d:
      return n == 12 && result->isPointerTy() && integer(0) && integer(1) &&
             params[2]->isPointerTy() && integer(3) && integer(4) && is_pair(params[5]) &&
             params[6]->isPointerTy() && integer(7) && integer(8) && is_pair(params[9]) &&
             is_pair(params[10]) && integer(11);
    case Form::wait:
      return n == 2 && result->isVoidTy() && integer(0) && params[1]->isPointerTy();
  }
  return false;
}

/// Atomics end in order, scope and volatile immediates, which may be ignored: being stronger than
/// asked is harmless. AIR 2.9 puts one more in between.
bool match_atomic(const FunctionType& type, Intrinsic& out) {
  llvm::ArrayRef<Type*> params = type.params();
  if (params.empty() || !params[0]->isPointerTy()) return false;
  size_t operands = 2;
  if (out.op == Op::atomic_load) {
    operands = 1;
    out.value = type.getReturnType();
  } else if (out.op == Op::atomic_compare_exchange) {
    operands = 3;
    if (params.size() < 3 || !params[1]->isPointerTy()) return false;
    out.value = params[2];
  } else {
    if (params.size() < 2) return false;
    out.value = params[1];
  }
  bool returns = out.op != Op::atomic_store;
  if (returns ? type.getReturnType() != out.value : !type.getReturnType()->isVoidTy()) return false;
  if (params.size() < operands + 3) return false;
  for (Type* p : params.drop_front(operands))
    if (!p->isIntegerTy()) return false;
  return out.value->isIntegerTy() || out.value->isFloatTy();
}

}  // namespace

bool is_air(const llvm::Function& callee) { return callee.getName().starts_with("air."); }

Result<Intrinsic> parse_intrinsic(const llvm::Function& callee) {
  StringRef name = callee.getName();
  const FunctionType& type = *callee.getFunctionType();
  Intrinsic out;
  out.is_signed = name.contains(".s.");
  bool known = false, fits = false;
  StringRef rest = name;
  auto lookup = [&](llvm::ArrayRef<Entry> table) {
    if (const Entry* entry = find(table, rest)) {
      known = true;
      out.op = entry->op;
      fits = match(entry->form, type, out);
    }
  };
  if (rest.consume_front("air.simd_")) {
    lookup(group);
  } else if (rest.consume_front("air.quad_")) {
    out.width = 4;
    lookup(group);
  } else if (rest.consume_front("air.atomic.global.") || rest.consume_front("air.atomic.local.")) {
    for (auto [word, op] : atomics) {
      if (!starts_with_word(rest, word)) continue;
      known = true;
      out.op = op;
      fits = match_atomic(type, out);
    }
  } else if (rest.starts_with("air.load.") && rest.contains("_coherent")) {
    known = true;
    out.op = Op::coherent_load;
    out.value = type.getReturnType();
    fits = type.getNumParams() == 1 && type.getParamType(0)->isPointerTy();
  } else if (rest.starts_with("air.store.") && rest.contains("_coherent")) {
    known = true;
    out.op = Op::coherent_store;
    fits = type.getNumParams() == 2 && type.getParamType(1)->isPointerTy();
    if (fits) out.value = type.getParamType(0);
  } else if (rest.consume_front("air.")) {
    lookup(plain);
  }
  if (!known) return Error{"the function " + name.str() + " is not supported"};
  if (!fits) return Error{"the function " + name.str() + " is declared with an unknown signature"};
  return out;
}

bool is_atomic(Op op) { return op >= Op::atomic_add && op <= Op::atomic_compare_exchange; }

bool is_matrix(Op op) { return op >= Op::matrix_fill && op <= Op::matrix_multiply; }

bool is_convergent(Op op) {
  return op == Op::threadgroup_barrier || op == Op::simdgroup_barrier ||
         (op >= Op::sum && op <= Op::async_wait);
}

bool has_uniform_result(const Intrinsic& intrinsic) {
  switch (intrinsic.op) {
    case Op::sum:
    case Op::product:
    case Op::min:
    case Op::max:
    case Op::bit_and:
    case Op::bit_or:
    case Op::bit_xor:
    case Op::all:
    case Op::any:
    case Op::ballot:
    case Op::vote_all:
    case Op::vote_any:
    case Op::active_mask:
    case Op::broadcast:
    case Op::broadcast_first:
      return intrinsic.width == 32;
    case Op::is_helper:
    case Op::simdgroup_size:
      return true;
    default:
      return false;
  }
}

}  // namespace mfa::simd
