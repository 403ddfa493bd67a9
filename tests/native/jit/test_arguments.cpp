// SPDX-License-Identifier: MIT
// Built-in arguments of every kind, width and type on uneven grids -> their definitions
// (AIR.md 2.5).
#include <functional>

#include "check.h"
#include "runner.h"

namespace {

struct Thread {
  uint32_t position[3], grid[3], group[3], size[3], asked[3], groups[3];
  uint32_t index() const { return position[0] + size[0] * (position[1] + size[1] * position[2]); }
  uint32_t threads() const { return size[0] * size[1] * size[2]; }
  uint32_t asked_threads() const { return asked[0] * asked[1] * asked[2]; }
};

struct Builtin {
  const char* name;
  bool is_vector;
  std::function<uint32_t(const Thread&, int axis)> value;
};

const Builtin builtins[] = {
    {"thread_position_in_grid", true,
     [](const Thread& t, int a) { return t.group[a] * t.asked[a] + t.position[a]; }},
    {"thread_position_in_threadgroup", true, [](const Thread& t, int a) { return t.position[a]; }},
    {"threadgroup_position_in_grid", true, [](const Thread& t, int a) { return t.group[a]; }},
    {"threads_per_grid", true, [](const Thread& t, int a) { return t.grid[a]; }},
    {"threadgroups_per_grid", true, [](const Thread& t, int a) { return t.groups[a]; }},
    {"threads_per_threadgroup", true, [](const Thread& t, int a) { return t.size[a]; }},
    {"dispatch_threads_per_threadgroup", true, [](const Thread& t, int a) { return t.asked[a]; }},
    {"thread_index_in_threadgroup", false, [](const Thread& t, int) { return t.index(); }},
    {"thread_index_in_simdgroup", false, [](const Thread& t, int) { return t.index() % 32; }},
    {"thread_index_in_quadgroup", false, [](const Thread& t, int) { return t.index() % 4; }},
    {"simdgroup_index_in_threadgroup", false, [](const Thread& t, int) { return t.index() / 32; }},
    {"quadgroup_index_in_threadgroup", false, [](const Thread& t, int) { return t.index() / 4; }},
    {"simdgroups_per_threadgroup", false,
     [](const Thread& t, int) { return (t.threads() + 31) / 32; }},
    {"quadgroups_per_threadgroup", false,
     [](const Thread& t, int) { return (t.threads() + 3) / 4; }},
    {"dispatch_simdgroups_per_threadgroup", false,
     [](const Thread& t, int) { return (t.asked_threads() + 31) / 32; }},
    {"threads_per_simdgroup", false, [](const Thread&, int) { return 32u; }},
    {"thread_execution_width", false, [](const Thread&, int) { return 32u; }},
};

/// out[linear thread of the grid * components + c] = component c of the built-in.
std::string kernel_text(const Builtin& builtin, unsigned components, bool is_short) {
  std::string element = is_short ? "i16" : "i32";
  std::string type =
      components == 1 ? element : "<" + std::to_string(components) + " x " + element + ">";
  std::string text = "define void @k(ptr addrspace(1) %out, <3 x i32> %g, <3 x i32> %n, " + type +
                     " %v) {\n"
                     "  %x = extractelement <3 x i32> %g, i64 0\n"
                     "  %y = extractelement <3 x i32> %g, i64 1\n"
                     "  %z = extractelement <3 x i32> %g, i64 2\n"
                     "  %nx = extractelement <3 x i32> %n, i64 0\n"
                     "  %ny = extractelement <3 x i32> %n, i64 1\n"
                     "  %a = mul i32 %z, %ny\n  %b = add i32 %a, %y\n  %c = mul i32 %b, %nx\n"
                     "  %d = add i32 %c, %x\n  %e = mul i32 %d, " +
                     std::to_string(components) + "\n  %w = zext i32 %e to i64\n";
  for (unsigned i = 0; i < components; ++i) {
    std::string n = std::to_string(i), value = "%v";
    if (components > 1) {
      text += "  %c" + n + " = extractelement " + type + " %v, i64 " + n + "\n";
      value = "%c" + n;
    }
    if (is_short) {
      text += "  %z" + n + " = zext i16 " + value + " to i32\n";
      value = "%z" + n;
    }
    text += "  %i" + n + " = add i64 %w, " + n + "\n  %p" + n +
            " = getelementptr i32, ptr addrspace(1) %out, i64 %i" + n + "\n  store i32 " + value +
            ", ptr addrspace(1) %p" + n + "\n";
  }
  return text + "  ret void\n}\n" +
         kernel_metadata({buffer_argument(0, 0, 1), builtin_argument(1, "thread_position_in_grid"),
                          builtin_argument(2, "threads_per_grid"),
                          builtin_argument(3, builtin.name)});
}

void check(Path path, const Builtin& builtin, unsigned components, bool is_short,
           const Grid& grid) {
  const auto& n = grid.threads;
  std::vector<Bytes> buffers = {
      bytes_of(std::vector<uint32_t>(n[0] * n[1] * n[2] * components, 0xaaaaaaaa))};
  std::string error = run_kernel(path, kernel_text(builtin, components, is_short), buffers, grid);
  if (!error.empty()) fprintf(stderr, "%s %s: %s\n", name_of(path), builtin.name, error.c_str());
  REQUIRE(error.empty());
  auto out = values_of<uint32_t>(buffers[0]);
  for (uint32_t z = 0; z < n[2]; ++z)
    for (uint32_t y = 0; y < n[1]; ++y)
      for (uint32_t x = 0; x < n[0]; ++x) {
        Thread t{};
        const uint32_t at[3] = {x, y, z};
        for (int a = 0; a < 3; ++a) {
          t.grid[a] = n[a];
          t.asked[a] = grid.group[a];
          t.groups[a] = (n[a] + t.asked[a] - 1) / t.asked[a];
          t.group[a] = at[a] / t.asked[a];
          t.position[a] = at[a] % t.asked[a];
          t.size[a] = std::min(t.asked[a], n[a] - t.group[a] * t.asked[a]);
        }
        for (unsigned c = 0; c < components; ++c) {
          uint32_t got = out[((z * n[1] + y) * n[0] + x) * components + c];
          uint32_t expected = builtin.value(t, int(c));
          if (got == expected) continue;
          fprintf(stderr, "%s %s[%u] at %u,%u,%u: got %u, expected %u\n", name_of(path),
                  builtin.name, c, x, y, z, got, expected);
          CHECK(!"value");
          return;
        }
      }
}

/// An argument buffer holds pointers: one that all lanes read through, and a table that each lane
/// looks its own up in.
void check_argument_buffer(Path path) {
  const std::string text = R"(
define void @k(ptr addrspace(1) %out, ptr addrspace(2) %resources, i32 %t) {
  %w = zext i32 %t to i64
  %first = load ptr addrspace(1), ptr addrspace(2) %resources
  %a = getelementptr i32, ptr addrspace(1) %first, i64 %w
  %x = load i32, ptr addrspace(1) %a
  %which = urem i64 %w, 3
  %entry = getelementptr { ptr addrspace(1), [3 x ptr addrspace(1)] }, ptr addrspace(2) %resources, i64 0, i32 1, i64 %which
  %mine = load ptr addrspace(1), ptr addrspace(2) %entry
  %b = getelementptr i32, ptr addrspace(1) %mine, i64 %w
  %y = load i32, ptr addrspace(1) %b
  %sum = add i32 %x, %y
  %p = getelementptr i32, ptr addrspace(1) %out, i64 %w
  store i32 %sum, ptr addrspace(1) %p
  ret void
})";
  std::vector<std::vector<uint32_t>> data(4, std::vector<uint32_t>(50));
  std::vector<const uint32_t*> pointers;
  for (uint32_t n = 0; n < 4; ++n) {
    for (uint32_t i = 0; i < 50; ++i) data[n][i] = 1000 * (n + 1) + i;
    pointers.push_back(data[n].data());
  }
  std::string resources = buffer_argument(1, 1, 2);
  resources.replace(resources.find("air.buffer"), 10, "air.indirect_buffer");
  std::vector<Bytes> buffers = {Bytes(50 * 4), bytes_of(pointers)};
  std::string error =
      run_kernel(path,
                 text + kernel_metadata({buffer_argument(0, 0, 1), resources,
                                         builtin_argument(2, "thread_position_in_grid")}),
                 buffers, Grid{{50, 1, 1}, {50, 1, 1}});
  if (!error.empty()) fprintf(stderr, "%s: %s\n", name_of(path), error.c_str());
  CHECK(error.empty());
  for (uint32_t i = 0; i < 50; ++i)
    CHECK(values_of<uint32_t>(buffers[0])[i] == 1000 + i + 1000 * (i % 3 + 2) + i);
}

}  // namespace

int main() {
  for (Path path : both_paths) check_argument_buffer(path);
  const Grid grids[] = {
      {{70, 1, 1}, {64, 1, 1}}, {{13, 7, 5}, {5, 3, 2}}, {{40, 6, 1}, {32, 4, 1}}};
  for (Path path : both_paths)
    for (const Builtin& builtin : builtins)
      for (const Grid& grid : grids) {
        check(path, builtin, 1, false, grid);
        check(path, builtin, 1, true, grid);
        if (!builtin.is_vector) continue;
        check(path, builtin, 2, true, grid);
        check(path, builtin, 3, false, grid);
      }
  return report();
}
