// SPDX-License-Identifier: MIT
// Function constants, predicates, unrolling and refusals of air::specialize on small kernels.
#include <cstring>

#include "check.h"
#include "kernel.h"

using namespace mfa::air;

namespace {

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

ConstantValue value(uint8_t type, uint64_t bits) {
  ConstantValue constant;
  constant.type = type;
  std::memcpy(constant.bytes.data(), &bits, sizeof bits);
  return constant;
}
constexpr uint8_t kUint = 33, kBool = 53, kInt = 29;

// constant uint n [[function_constant(0)]]; constant bool wide [[function_constant(7)]] (optional);
// constant uint doubled = is_function_constant_defined(wide) ? 2 * n : n; if (wide) argument b
// exists.
constexpr char kWithConstants[] = R"(
@n.MTL_FC_INIT_0_j = internal addrspace(2) externally_initialized constant i32 undef, section "air.fc_initializer", align 4
@wide.MTL_FC_INIT_7_b = internal addrspace(2) externally_initialized constant i8 undef, section "air.fc_initializer", align 1
@n = internal addrspace(2) global i32 undef, align 4
@doubled = internal addrspace(2) global i32 0, align 4
@pred = internal addrspace(2) global i8 0, align 1
@llvm.global_ctors = appending global [1 x { i32, ptr, ptr }] [{ i32, ptr, ptr } { i32 65535, ptr @init, ptr null }]
@llvm.compiler.used = appending global [1 x ptr] [ptr addrspacecast (ptr addrspace(2) @pred to ptr)], section "llvm.metadata"

declare i1 @air.is_function_constant_defined(ptr addrspace(2))
declare i8 @air.normalize_function_constant_predicate.i8(i8)
declare i32 @air.min.u.i32(i32, i32)

define internal void @init() section "air.static_init" {
  %n = load i32, ptr addrspace(2) @n.MTL_FC_INIT_0_j
  %clamped = call i32 @air.min.u.i32(i32 %n, i32 1000)
  store i32 %clamped, ptr addrspace(2) @n
  %defined = call i1 @air.is_function_constant_defined(ptr addrspace(2) @wide.MTL_FC_INIT_7_b)
  %twice = shl i32 %clamped, 1
  %doubled = select i1 %defined, i32 %twice, i32 %clamped
  store i32 %doubled, ptr addrspace(2) @doubled
  %w = load i8, ptr addrspace(2) @wide.MTL_FC_INIT_7_b
  %p = call i8 @air.normalize_function_constant_predicate.i8(i8 %w)
  store i8 %p, ptr addrspace(2) @pred
  ret void
}

define void @k(ptr addrspace(1) %out, ptr addrspace(1) %b, i32 %i) {
  %doubled = load i32, ptr addrspace(2) @doubled
  %p = load i8, ptr addrspace(2) @pred
  %has_b = icmp ne i8 %p, 0
  br i1 %has_b, label %add, label %done
add:
  %x = load i32, ptr addrspace(1) %b
  br label %done
done:
  %y = phi i32 [ 0, %0 ], [ %x, %add ]
  %sum = add i32 %doubled, %y
  store i32 %sum, ptr addrspace(1) %out
  ret void
}
!air.kernel = !{!0}
!air.function_constants = !{!6, !7}
!0 = !{ptr @k, !1, !2}
!1 = !{}
!2 = !{!3, !4, !5}
!3 = !{i32 0, !"air.buffer", !"air.location_index", i32 0, i32 1, !"air.read_write", !"air.address_space", i32 1, !"air.arg_type_size", i32 4, !"air.arg_type_align_size", i32 4, !"air.arg_type_name", !"uint", !"air.arg_name", !"out"}
!4 = !{i32 1, !"air.function_constant", !8, !"air.buffer", !"air.location_index", i32 5, i32 1, !"air.read", !"air.address_space", i32 1, !"air.arg_type_size", i32 4, !"air.arg_type_align_size", i32 4, !"air.arg_type_name", !"uint", !"air.arg_name", !"b"}
!5 = !{i32 2, !"air.thread_position_in_grid", !"air.arg_type_name", !"uint", !"air.arg_name", !"i", !"air.arg_unused"}
!6 = !{ptr addrspace(2) @n.MTL_FC_INIT_0_j, !"uint", !"n", i32 0, i1 true}
!7 = !{ptr addrspace(2) @wide.MTL_FC_INIT_7_b, !"bool", !"wide", i32 7, i1 false}
!8 = !{ptr addrspace(2) @pred, !"bool", !"wide"}
)";

uint32_t run(const Kernel& kernel, uint32_t b) {
  uint32_t out = 0;
  reinterpret_cast<void (*)(uint32_t*, uint32_t*, uint32_t)>(kernel.address)(&out, &b, 0);
  return out;
}

void reflection_reads_the_metadata() {
  const auto library = library_of(kWithConstants);
  const auto reflection = reflect(*library->find("k"));
  REQUIRE(bool(reflection));
  REQUIRE(reflection->arguments.size() == 3 && reflection->constants.size() == 2);
  const Argument& b = reflection->arguments[1];
  CHECK(b.name == "b" && b.slot == 5 && b.predicate == "wide" && b.type_name == "uint");
  CHECK(b.access == Argument::Access::read && b.address_space == 1 && b.type_size == 4);
  CHECK(reflection->arguments[2].kind == Argument::Kind::builtin &&
        reflection->arguments[2].unused);
  CHECK(reflection->arguments[2].builtin == "air.thread_position_in_grid");
  CHECK(reflection->constants[0].name == "n" && reflection->constants[0].type == "uint");
  CHECK(reflection->constants[1].index == 7 && !reflection->constants[1].required);
}

void constants_are_checked() {
  const Kernel missing = compile(kWithConstants);
  CHECK(contains(missing.error, "function constant 'n' at index 0 of type uint has no value"));
  ConstantValues values;
  values.by_index[0] = value(kInt, 3);
  CHECK(contains(compile(kWithConstants, values).error, "needs a value of type uint, got int"));
}

void constants_are_folded() {
  ConstantValues values;
  values.by_index[0] = value(kUint, 21);
  const Kernel narrow = compile(kWithConstants, values);
  if (!narrow.error.empty()) std::fprintf(stderr, "%s\n", narrow.error.c_str());
  REQUIRE(narrow.address != nullptr);
  CHECK(run(narrow, 100) == 21);
  CHECK(!narrow.reflection.arguments[1].active);
  CHECK(!contains(narrow.text, "br i1"));
  CHECK(!contains(narrow.text, "@init"));

  values.by_name["wide"] = value(kBool, 1);
  const Kernel wide = compile(kWithConstants, values);
  REQUIRE(wide.address != nullptr);
  CHECK(run(wide, 100) == 142);
  CHECK(wide.reflection.arguments[1].active);

  values.by_name["wide"] = value(kBool, 0);
  CHECK(run(compile(kWithConstants, values), 100) == 42);
}

std::string kernel_with(
    const std::string& declarations, const std::string& body,
    const std::string& second =
        R"(!"air.buffer", !"air.location_index", i32 1, i32 1, !"air.read", !"air.address_space", i32 1, !"air.arg_type_name", !"int")") {
  return declarations + "define void @k(ptr addrspace(1) %out, ptr addrspace(1) %in) {\n" + body +
         R"(  ret void
}
!air.kernel = !{!0}
!0 = !{ptr @k, !1, !2}
!1 = !{}
!2 = !{!3, !4}
!3 = !{i32 0, !"air.buffer", !"air.location_index", i32 0, i32 1, !"air.read_write", !"air.address_space", i32 1, !"air.arg_name", !"out"}
!4 = !{i32 1, )" +
         second + ", !\"air.arg_name\", !\"in\"}\n";
}

void private_arrays_become_values() {
  // for (i < 4) t[i] = in[i]; for (i < 4) out[i] = t[3 - i]; rolled, as Apple's compiler leaves it.
  const Kernel kernel = compile(kernel_with("", R"(
  %t = alloca [4 x i32]
  br label %first
first:
  %i = phi i64 [ 0, %0 ], [ %i1, %first ]
  %a = getelementptr i32, ptr addrspace(1) %in, i64 %i
  %x = load i32, ptr addrspace(1) %a
  %b = getelementptr [4 x i32], ptr %t, i64 0, i64 %i
  store i32 %x, ptr %b
  %i1 = add i64 %i, 1
  %c = icmp eq i64 %i1, 4
  br i1 %c, label %middle, label %first
middle:
  br label %second
second:
  %j = phi i64 [ 0, %middle ], [ %j1, %second ]
  %r = sub i64 3, %j
  %d = getelementptr [4 x i32], ptr %t, i64 0, i64 %r
  %y = load i32, ptr %d
  %e = getelementptr i32, ptr addrspace(1) %out, i64 %j
  store i32 %y, ptr addrspace(1) %e
  %j1 = add i64 %j, 1
  %f = icmp eq i64 %j1, 4
  br i1 %f, label %end, label %second
end:
)"));
  if (!kernel.error.empty()) std::fprintf(stderr, "%s\n", kernel.error.c_str());
  REQUIRE(kernel.address != nullptr);
  CHECK(!contains(kernel.text, "alloca") && !contains(kernel.text, "phi"));
  int in[4] = {1, 2, 3, 4}, out[4] = {};
  reinterpret_cast<void (*)(int*, int*)>(kernel.address)(out, in);
  CHECK(out[0] == 4 && out[1] == 3 && out[2] == 2 && out[3] == 1);
}

void helpers_are_inlined_and_divisions_do_not_trap() {
  const Kernel kernel = compile(kernel_with(R"(
define internal fastcc i32 @helper(i32 %a, i32 %b) noinline {
  %q = sdiv i32 %a, %b
  %r = srem i32 %a, %b
  %s = add i32 %q, %r
  ret i32 %s
}
)",
                                            R"(
  %a = load i32, ptr addrspace(1) %in
  %p = getelementptr i32, ptr addrspace(1) %in, i64 1
  %b = load i32, ptr addrspace(1) %p
  %s = call fastcc i32 @helper(i32 %a, i32 %b)
  store i32 %s, ptr addrspace(1) %out
)"));
  if (!kernel.error.empty()) std::fprintf(stderr, "%s\n", kernel.error.c_str());
  REQUIRE(kernel.address != nullptr);
  CHECK(!contains(kernel.text, "call"));
  const auto divide = reinterpret_cast<void (*)(int*, int*)>(kernel.address);
  int out = 0, in[2] = {17, 5};
  divide(&out, in);
  CHECK(out == 5);
  in[1] = 0;
  divide(&out, in);  // unspecified, but it returns
  in[0] = INT32_MIN, in[1] = -1;
  divide(&out, in);
}

void memory_calls_become_loads_and_stores() {
  const Kernel kernel = compile(kernel_with(
      "declare void @llvm.memcpy.p1.p1.i64(ptr addrspace(1), ptr addrspace(1), i64, i1)\n"
      "declare void @llvm.memset.p1.i64(ptr addrspace(1), i8, i64, i1)\n",
      R"(
  call void @llvm.memcpy.p1.p1.i64(ptr addrspace(1) align 4 %out, ptr addrspace(1) align 4 %in, i64 20, i1 false)
  %p = getelementptr i8, ptr addrspace(1) %out, i64 20
  call void @llvm.memset.p1.i64(ptr addrspace(1) align 4 %p, i8 7, i64 12, i1 false)
  %q = getelementptr i8, ptr addrspace(1) %out, i64 32
  call void @llvm.memset.p1.i64(ptr addrspace(1) align 4 %q, i8 9, i64 200, i1 false)
)"));
  if (!kernel.error.empty()) std::fprintf(stderr, "%s\n", kernel.error.c_str());
  REQUIRE(kernel.address != nullptr);
  CHECK(!contains(kernel.text, "memset"));
  unsigned char in[20], out[240] = {};
  for (int i = 0; i < 20; ++i) in[i] = (unsigned char)(i + 1);
  reinterpret_cast<void (*)(void*, void*)>(kernel.address)(out, in);
  CHECK(std::memcmp(in, out, 20) == 0 && out[20] == 7 && out[31] == 7);
  CHECK(out[32] == 9 && out[231] == 9 && out[232] == 0);
}

void unsupported_constructs_are_named() {
  const auto refusal = [](const std::string& declarations, const std::string& body) {
    return compile(kernel_with(declarations, body)).error;
  };
  CHECK(contains(
      refusal("declare i32 @air.no_such_thing(i32)\n",
              "%r = call i32 @air.no_such_thing(i32 1)\nstore i32 %r, ptr addrspace(1) %out\n"),
      "function 'k': it uses air.no_such_thing"));
  CHECK(contains(refusal("declare void @air.os_log(ptr)\n", "call void @air.os_log(ptr null)\n"),
                 "air.os_log"));
  CHECK(contains(
      refusal(
          "declare ptr @air.get_function_pointer_visible_function_table(ptr addrspace(1), i32)\n",
          "%f = call ptr @air.get_function_pointer_visible_function_table(ptr addrspace(1) "
          "%in, i32 0)\ncall void %f()\n"),
      "visible_function_table"));
  const std::string use =
      "%x = load i32, ptr addrspace(1) %in\nstore i32 %x, ptr addrspace(1) %out\n";
  const char* texture =
      R"(!"air.texture", !"air.location_index", i32 0, i32 1, !"air.sample", !"air.arg_type_name", !"texture2d<half, sample>")";
  CHECK(contains(compile(kernel_with("", use, texture)).error, "argument 'in' is a texture"));
  CHECK(compile(kernel_with("", "", texture)).error.empty());  // unused: harmless
  const char* far =
      R"(!"air.buffer", !"air.location_index", i32 31, i32 1, !"air.read", !"air.address_space", i32 1)";
  CHECK(contains(compile(kernel_with("", use, far)).error, "index 31"));
}

void damaged_bitcode_is_refused() {
  FunctionDescription description;
  description.name = "k";
  description.bitcode = {'B', 'C', 0xC0, 0xDE, 1, 2, 3, 4};
  const auto library = Metallib::open(write({description}));
  REQUIRE(bool(library));
  CHECK(contains(reflect(*(*library)->find("k")).error(), "cannot be read"));
  description.type = FunctionType::vertex;
  const auto vertex = Metallib::open(write({description}));
  CHECK(contains(reflect(*(*vertex)->find("k")).error(), "a vertex function"));
}

}  // namespace

int main() {
  reflection_reads_the_metadata();
  constants_are_checked();
  constants_are_folded();
  private_arrays_become_values();
  helpers_are_inlined_and_divisions_do_not_trap();
  memory_calls_become_loads_and_stores();
  unsupported_constructs_are_named();
  damaged_bitcode_is_refused();
  return report();
}
