// SPDX-License-Identifier: MIT
// 8x8 matrices of every type, loaded, multiplied and stored -> plain loops; the lane layout.
#include <cmath>
#include <cstring>

#include "check.h"
#include "runner.h"

namespace {

struct Type {
  const char *ir, *suffix;
  unsigned bytes;
};
constexpr Type f32{"float", "f32", 4}, f16{"half", "f16", 2}, bf16{"bfloat", "bf16", 2};

Bytes encode(const Type& type, float value) {
  Bytes out(type.bytes);
  uint32_t bits;
  memcpy(&bits, &value, 4);
  _Float16 half = _Float16(value);
  uint16_t high = uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  const void* from = &value;
  if (!strcmp(type.suffix, "f16")) from = &half;
  if (!strcmp(type.suffix, "bf16")) from = &high;
  memcpy(out.data(), from, type.bytes);
  return out;
}

/// 8 x `row` elements, of which the first 8 columns are the matrix.
Bytes matrix_bytes(const Type& type, const float (&m)[8][8], unsigned row) {
  Bytes out(8 * row * type.bytes, 0);
  for (unsigned r = 0; r < 8; ++r)
    for (unsigned c = 0; c < 8; ++c) {
      Bytes e = encode(type, m[r][c]);
      memcpy(&out[(r * row + c) * type.bytes], e.data(), type.bytes);
    }
  return out;
}

std::string matrix_of(const Type& type) { return std::string("<64 x ") + type.ir + ">"; }

struct Load {
  bool strided, transposed;
};

/// A call's address operands: rows of 8 + 3 elements, origin (1, 2) if `offset`.
std::string address(const Load& load, unsigned row, bool offset) {
  std::string origin = offset ? "<2 x i64> <i64 1, i64 2>" : "<2 x i64> zeroinitializer";
  std::string swapped = offset ? "<2 x i64> <i64 2, i64 1>" : "<2 x i64> zeroinitializer";
  std::string n = std::to_string(row);
  if (!load.strided)
    return "i64 " + n + ", " + origin + ", i1 " + (load.transposed ? "true" : "false");
  if (!load.transposed)
    return "<2 x i64> <i64 " + n + ", i64 8>, <2 x i64> <i64 1, i64 " + n + ">, " + origin;
  return "<2 x i64> <i64 8, i64 " + n + ">, <2 x i64> <i64 " + n + ", i64 1>, " + swapped;
}

std::string address_types(const Load& load) {
  return load.strided ? "<2 x i64>, <2 x i64>, <2 x i64>" : "i64, <2 x i64>, i1";
}

/// D = A B + C with A through `load`.
std::string kernel_text(const Type& d, const Type& a, const Type& b, const Type& c,
                        const Load& load, unsigned row) {
  std::string prefix = "air.simdgroup_matrix_8x8_";
  const Load plain{false, false};
  auto load_call = [&](const char* name, const Type& type, const char* from, const Load& how,
                       bool offset) {
    return std::string("  %") + name + " = call " + matrix_of(type) + " @" + prefix + "load." +
           name + ".v64" + type.suffix + ".p1" + type.suffix + "(ptr addrspace(1) %" + from + ", " +
           address(how, how.strided || how.transposed || offset ? row : 8, offset) + ") #0\n";
  };
  // Declarations with different signatures need different names; the loader keys on the type.
  auto declare_load = [&](const char* name, const Type& type, const Load& how) {
    return "declare " + matrix_of(type) + " @" + prefix + "load." + name + ".v64" + type.suffix +
           ".p1" + type.suffix + "(ptr addrspace(1), " + address_types(how) + ") #0\n";
  };
  std::string multiply = prefix + "multiply_accumulate.v64" + d.suffix + ".v64" + a.suffix +
                         ".v64" + b.suffix + ".v64" + c.suffix;
  std::string store = prefix + "store.v64" + std::string(d.suffix) + ".p1" + d.suffix;
  std::string text =
      "define void @k(ptr addrspace(1) %pa, ptr addrspace(1) %pb, ptr addrspace(1) %pc, ptr "
      "addrspace(1) %pd) {\n";
  text += load_call("a", a, "pa", load, true) + load_call("b", b, "pb", plain, false) +
          load_call("c", c, "pc", plain, false);
  text += "  %d = call " + matrix_of(d) + " @" + multiply + "(" + matrix_of(a) + " %a, " +
          matrix_of(b) + " %b, " + matrix_of(c) + " %c) #0\n";
  text += "  call void @" + store + "(" + matrix_of(d) + " %d, ptr addrspace(1) %pd, " +
          address(plain, 8, false) + ") #0\n  ret void\n}\n";
  text += declare_load("a", a, load) + declare_load("b", b, plain) + declare_load("c", c, plain);
  text += "declare " + matrix_of(d) + " @" + multiply + "(" + matrix_of(a) + ", " + matrix_of(b) +
          ", " + matrix_of(c) + ") #0\n";
  text += "declare void @" + store + "(" + matrix_of(d) + ", ptr addrspace(1), " +
          address_types(plain) + ") #0\nattributes #0 = { convergent nounwind willreturn }\n";
  return text + kernel_metadata({buffer_argument(0, 0, 1), buffer_argument(1, 1, 1),
                                 buffer_argument(2, 2, 1), buffer_argument(3, 3, 1)});
}

void multiply(Path path, const Type& d, const Type& a, const Type& b, const Type& c,
              const Load& load) {
  // Small whole numbers: exact in every type.
  float ma[8][8], mb[8][8], mc[8][8], md[8][8];
  for (int r = 0; r < 8; ++r)
    for (int k = 0; k < 8; ++k) {
      ma[r][k] = float((r * 5 + k * 3) % 7 - 3);
      mb[r][k] = float((r * 2 + k * 7) % 5 - 2);
      mc[r][k] = float(r - k);
    }
  for (int r = 0; r < 8; ++r)
    for (int k = 0; k < 8; ++k) {
      md[r][k] = mc[r][k];
      for (int i = 0; i < 8; ++i) md[r][k] += ma[r][i] * mb[i][k];
    }
  // A lies at column 1, row 2 of a larger matrix, transposed or not.
  constexpr unsigned row = 11;
  Bytes large((8 + 2) * row * a.bytes, 0);
  for (unsigned r = 0; r < 8; ++r)
    for (unsigned k = 0; k < 8; ++k) {
      Bytes e = encode(a, load.transposed ? ma[k][r] : ma[r][k]);
      memcpy(&large[((r + 2) * row + k + 1) * a.bytes], e.data(), a.bytes);
    }
  std::vector<Bytes> buffers = {large, matrix_bytes(b, mb, 8), matrix_bytes(c, mc, 8),
                                Bytes(64 * d.bytes)};
  std::string error =
      run_kernel(path, kernel_text(d, a, b, c, load, row), buffers, Grid{{32, 1, 1}, {32, 1, 1}});
  if (!error.empty()) fprintf(stderr, "%s: %s\n", name_of(path), error.c_str());
  REQUIRE(error.empty());
  bool equal = buffers[3] == matrix_bytes(d, md, 8);
  if (!equal)
    fprintf(stderr, "%s %s <- %s %s %s, strided %d transposed %d\n", name_of(path), d.suffix,
            a.suffix, b.suffix, c.suffix, load.strided, load.transposed);
  CHECK(equal);
}

/// Each lane writes thread_elements() of a diagonal matrix where AIR.md section 6 puts them.
void lane_layout(Path path) {
  const std::string text = R"(
define void @k(ptr addrspace(1) %out, ptr addrspace(1) %in, i32 %lane) {
  %w = zext i32 %lane to i64
  %m = call <64 x float> @air.simdgroup_matrix_8x8_load.v64f32.p1f32(ptr addrspace(1) %in, i64 8, <2 x i64> zeroinitializer, i1 false) #0
  %pair = shufflevector <64 x float> %m, <64 x float> poison, <2 x i32> <i32 0, i32 1>
  %p = getelementptr <2 x float>, ptr addrspace(1) %out, i64 %w
  store <2 x float> %pair, ptr addrspace(1) %p, align 8
  ret void
}
declare <64 x float> @air.simdgroup_matrix_8x8_load.v64f32.p1f32(ptr addrspace(1), i64, <2 x i64>, i1) #0
attributes #0 = { convergent nounwind willreturn memory(read) }
)" + kernel_metadata({buffer_argument(0, 0, 1), buffer_argument(1, 1, 1),
                      builtin_argument(2, "thread_index_in_simdgroup")});
  std::vector<float> in(64), out(64);
  for (int i = 0; i < 64; ++i) in[i] = float(i);
  std::vector<Bytes> buffers = {bytes_of(out), bytes_of(in)};
  std::string error = run_kernel(path, text, buffers, Grid{{32, 1, 1}, {32, 1, 1}});
  REQUIRE(error.empty());
  out = values_of<float>(buffers[0]);
  // First elements by lane, from the table in AIR.md.
  const int first[] = {0,  2,  8,  10, 16, 18, 24, 26, 4,  6,  12, 14, 20, 22, 28, 30,
                       32, 34, 40, 42, 48, 50, 56, 58, 36, 38, 44, 46, 52, 54, 60, 62};
  for (int lane = 0; lane < 32; ++lane)
    CHECK(out[2 * lane] == float(first[lane]) && out[2 * lane + 1] == float(first[lane] + 1));
}

}  // namespace

int main() {
  const Type combinations[][4] = {
      {f32, f32, f32, f32},  {f32, f16, f16, f32},  {f32, f32, f16, f32}, {f32, bf16, bf16, f32},
      {f32, f32, bf16, f32}, {f32, bf16, f16, f32}, {f16, f16, f16, f16}, {bf16, bf16, bf16, bf16}};
  for (Path path : both_paths) {
    lane_layout(path);
    for (auto& [d, a, b, c] : combinations)
      for (Load load : {Load{false, false}, Load{false, true}, Load{true, false}, Load{true, true}})
        multiply(path, d, a, b, c, load);
  }
  return report();
}
