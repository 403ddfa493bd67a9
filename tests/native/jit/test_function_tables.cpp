// SPDX-License-Identifier: MIT
// Calls through visible function tables reach the functions that the entries name.
#include "check.h"
#include "kernel.h"
#include "runner.h"

namespace {

/// x[i] = table[which[i]](x[i], i)
const char calls_by_lane[] = R"(
declare ptr @air.get_function_pointer_visible_function_table(ptr addrspace(1), i32)
define void @k(ptr addrspace(1) %x, ptr addrspace(1) %which, ptr addrspace(1) %table, i32 %i) {
  %w = zext i32 %i to i64
  %p = getelementptr i32, ptr addrspace(1) %x, i64 %w
  %q = getelementptr i32, ptr addrspace(1) %which, i64 %w
  %old = load i32, ptr addrspace(1) %p
  %index = load i32, ptr addrspace(1) %q
  %f = call ptr @air.get_function_pointer_visible_function_table(ptr addrspace(1) %table, i32 %index)
  %new = call i32 %f(i32 %old, i32 %i) convergent
  store i32 %new, ptr addrspace(1) %p
  ret void
}
)";

/// The sum over the lanes that take the same way, which all functions have to keep apart.
const char adds[] = R"(
declare i32 @air.simd_sum.u.i32(i32) convergent
@seen = internal addrspace(2) constant i32 1000
define i32 @adds(i32 %old, i32 %i) {
  %one = call i32 @air.simd_sum.u.i32(i32 1) convergent
  %base = load i32, ptr addrspace(2) @seen
  %sum = add i32 %base, %one
  ret i32 %sum
}
!air.visible = !{!0}
!0 = !{ptr @adds, !1, !1}
!1 = !{}
)";

/// With a helper and a constant of the same names as in the other module.
const char multiplies[] = R"(
@seen = internal addrspace(2) constant i32 3
define internal i32 @helper(i32 %x) noinline {
  %f = load i32, ptr addrspace(2) @seen
  %y = mul i32 %x, %f
  ret i32 %y
}
define i32 @multiplies(i32 %old, i32 %i) {
  %y = call i32 @helper(i32 %old)
  ret i32 %y
}
!air.visible = !{!0}
!0 = !{ptr @multiplies, !1, !1}
!1 = !{}
)";

const char takes_a_float[] = R"(
define float @takes_a_float(float %x) {
  ret float %x
}
!air.visible = !{!0}
!0 = !{ptr @takes_a_float, !1, !1}
!1 = !{}
)";

const std::vector<std::string> visible = {adds, multiplies, takes_a_float};

std::string kernel() {
  return calls_by_lane +
         kernel_metadata({buffer_argument(0, 0, 1), buffer_argument(1, 1, 1), table_argument(2, 2),
                          builtin_argument(3, "thread_position_in_grid")});
}

void lanes_call_different_functions(Path path) {
  std::vector<uint32_t> x(64), which(64);
  // Entries: multiplies, none, adds, of another type.
  const std::vector<uint32_t> table = {2, 0, 1, 3};
  for (uint32_t i = 0; i < 64; ++i) x[i] = 10 + i, which[i] = i % 4;
  std::vector<Bytes> buffers = {bytes_of(x), bytes_of(which), bytes_of(table)};
  std::string error = run_kernel(path, kernel(), buffers, Grid{{64, 1, 1}, {64, 1, 1}}, visible);
  if (!error.empty()) fprintf(stderr, "%s: %s\n", name_of(path), error.c_str());
  CHECK(error.empty());
  auto out = values_of<uint32_t>(buffers[0]);
  for (uint32_t i = 0; i < 64; ++i) {
    uint32_t expected[] = {3 * (10 + i), 0, 1008, 0};
    CHECK(out[i] == expected[i % 4]);
  }
}

void refuses(const std::string& text, const std::vector<std::string>& functions,
             const char* named) {
  for (Path path : both_paths) {
    std::vector<Bytes> buffers(3, Bytes(256));
    std::string error = run_kernel(path, text, buffers, Grid{{32, 1, 1}, {32, 1, 1}}, functions);
    if (error.find(named) == std::string::npos)
      fprintf(stderr, "%s: expected \"%s\" in \"%s\"\n", name_of(path), named, error.c_str());
    CHECK(error.find(named) != std::string::npos);
  }
}

void what_cannot_be_linked_is_refused() {
  refuses(kernel(), {}, "argument 'table' is a function table");
  refuses(kernel(), {"define void @nothing() {\n  ret void\n}\n"},
          "function 'f0': its module does not have exactly one !air.visible entry");
  refuses(kernel(), {std::string(adds) + "!air.function_constants = !{!2}\n!2 = !{i32 0}\n"},
          "function 'f0': it is linked to a kernel and uses function constants");
}

}  // namespace

int main() {
  for (Path path : both_paths) lanes_call_different_functions(path);
  what_cannot_be_linked_is_refused();
  return report();
}
