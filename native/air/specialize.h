// SPDX-License-Identifier: MIT
// A function record and constant values in; a canonical LLVM module out.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "air/metallib.h"
#include "air/reflection.h"
#include "base/result.h"

namespace llvm {
class Function;
class LLVMContext;
class Module;
class TargetMachine;
}  // namespace llvm

namespace mfa::air {

/// The raw little-endian bytes of one function constant (1 to 32 bytes) and its MTLDataType.
struct ConstantValue {
  uint8_t type = 0;
  std::array<uint8_t, 32> bytes{};
};

/// Values by index, and by name for constants set with -setConstantValue:type:withName:.
struct ConstantValues {
  std::map<uint32_t, ConstantValue> by_index;
  std::map<std::string, ConstantValue> by_name;
};

/// A visible function that a kernel may call through a table.
struct LinkedFunction {
  std::shared_ptr<const Metallib> library;
  const FunctionRecord* record = nullptr;  // inside `library`
};
using LinkedFunctions = std::vector<LinkedFunction>;

/// Arguments and constants of a function as compiled, nothing specialised. Cheap.
Result<Reflection> reflect(const FunctionRecord& record);

struct Specialized {
  std::unique_ptr<llvm::Module> module;
  llvm::Function* kernel = nullptr;
  Reflection reflection;          // `active` filled in from the predicates
  bool fast_math = false;         // air.compile.fast_math_enable
  bool flush_subnormals = false;  // air.compile.denorms_disable
};

/// LLVM's attribute for what float arithmetic does with subnormal numbers: whoever moves the code
/// of the kernel to another function takes it along.
inline constexpr char kDenormals[] = "denormal-fp-math-f32";

/// Loads the bitcode, binds the constants, folds everything that follows from them and brings the
/// module into the canonical form the vectoriser and the reference path take:
///  * host triple and data layout of `target`; one definition, the kernel; parameters as compiled;
///    no constructors, no helpers (all inlined), no `llvm.compiler.used`;
///  * loops fully unrolled where the AIR asks for it, SROA done, lifetime markers gone;
///  * `air.*` math, integer, conversion and pack functions replaced by LLVM intrinsics that every
///    CPU expands inline on vectors, or by the branch-free scalar code of air/builtins, inlined;
///  * calls through visible function tables: a choice among `linked`, whose n-th function is entry
///    n + 1 of a table (air/function_tables.h);
///  * sdiv/udiv/srem/urem guarded: divisor 0 and INT_MIN/-1 do not trap;
///  * memcpy, memmove and memset turned into loads and stores (loops where they are long), except
///    that a memcpy of 9 to 64 bytes between memory that is not private stays as it is;
///  * left as calls: air.wg.barrier, air.simdgroup.barrier, air.atomic.*, air.simd_*, air.quad_*,
///    air.simdgroup_matrix_*, air.simdgroup_async_copy_*, air.get_simdgroup_size.*,
///    air.get_thread_index_in_simdgroup.*. simd_*, quad_* and matrix init/multiply declarations
///    carry memory(none) and convergent.
/// Anything else is refused with a message that names the construct and the function.
Result<Specialized> specialize(const FunctionRecord& record, const ConstantValues& values,
                               llvm::LLVMContext& context, llvm::TargetMachine& target,
                               const LinkedFunctions& linked = {});

}  // namespace mfa::air
