# SPDX-License-Identifier: MIT
# ruff: noqa: E501 (lines of MSL and AIR stand as they are)
"""The modules of kernels have AIR's parameters, metadata and address spaces."""

import re

HEAD = "#include <metal_stdlib>\nusing namespace metal;\n"

AXPB = (
    HEAD
    + """
kernel void axpb(device float* x [[buffer(0)]], constant float& b [[buffer(1)]],
                 threadgroup float* scratch [[threadgroup(0)]],
                 uint i [[thread_position_in_grid]], ushort lane [[thread_index_in_simdgroup]]) {
  x[i] = x[i] * 2 + b;
}
"""
)


def node(text: str, name: str) -> str:
    return next(line for line in text.splitlines() if f'!"air.arg_name", !"{name}"' in line).split(
        " = ", 1
    )[1]


def test_argument_nodes(air):
    text = air(AXPB).module("axpb")
    assert node(text, "x") == (
        '!{i32 0, !"air.buffer", !"air.location_index", i32 0, i32 1, !"air.read_write", '
        '!"air.address_space", i32 1, !"air.arg_type_size", i32 4, !"air.arg_type_align_size", i32 4, '
        '!"air.arg_type_name", !"float", !"air.arg_name", !"x"}'
    )
    assert node(text, "b") == (
        '!{i32 1, !"air.buffer", !"air.buffer_size", i32 4, !"air.location_index", i32 1, i32 1, !"air.read", '
        '!"air.address_space", i32 2, !"air.arg_type_size", i32 4, !"air.arg_type_align_size", i32 4, '
        '!"air.arg_type_name", !"float", !"air.arg_name", !"b"}'
    )
    assert node(text, "scratch").endswith('!"air.arg_name", !"scratch", !"air.arg_unused"}')
    assert (
        node(text, "i")
        == '!{i32 3, !"air.thread_position_in_grid", !"air.arg_type_name", !"uint", !"air.arg_name", !"i"}'
    )
    assert node(text, "lane").endswith('!"ushort", !"air.arg_name", !"lane", !"air.arg_unused"}')


def test_signature(air):
    text = air(AXPB).module("axpb")
    definition = re.search(r"define void @axpb\((.*)\) local_unnamed_addr", text).group(1)
    assert definition == (
        'ptr addrspace(1) noundef "air-buffer-no-alias" %x, '
        'ptr addrspace(2) noundef align 4 dereferenceable(4) "air-buffer-no-alias" %b, '
        'ptr addrspace(3) noundef "air-buffer-no-alias" %scratch, i32 noundef %i, i16 noundef %lane'
    )
    assert "llvm.fmuladd.f32" in text


def test_module_metadata(air):
    text = air(AXPB).module("axpb")
    assert 'target triple = "air64-apple-macosx14.0.0"' in text
    assert 'source_filename = "axpb"' in text
    for part in (
        "!air.version",
        "!air.language_version",
        '!"air.compile.fast_math_enable"',
        "!llvm.module.flags",
        '!"air.max_device_buffers", i32 31',
        "@llvm.global_ctors",
        '"no-builtins"',
        '"frame-pointer"="all"',
    ):
        assert part in text
    assert '!"air.compile.fast_math_disable"' in air(AXPB, "-fno-fast-math").text


def test_vector_builtins_are_values(air):
    text = air(
        HEAD
        + """
kernel void f(device float* x, uint3 p [[thread_position_in_grid]], ushort2 q [[threadgroup_position_in_grid]],
              ushort3 r [[thread_position_in_threadgroup]], uint2 s [[threads_per_grid]]) {
  x[p.x + q.y + r.z + s.x] = p.y;
}"""
    ).module("f")
    assert (
        "<3 x i32> noundef %p, <2 x i16> noundef %q, <3 x i16> noundef %r, <2 x i32> noundef %s"
        in text
    )
    assert "alloca" not in text


def test_slots_are_given_in_order(air):
    text = air(
        HEAD
        + "kernel void f(device int* a, device int* b [[buffer(0)]], constant int& c, threadgroup int* d) {}"
    ).text
    assert 'i32 1, i32 1, !"air.read_write"' in node(text, "a")
    assert 'i32 0, i32 1, !"air.read_write"' in node(text, "b")
    assert 'i32 2, i32 1, !"air.read"' in node(text, "c")
    assert 'i32 0, i32 1, !"air.read_write", !"air.address_space", i32 3' in node(text, "d")


def test_struct_members(air):
    text = air(
        HEAD
        + """
struct Inner { float3 v; packed_float3 w; };
struct Params { uint n; half h[4]; Inner inner[2]; bool2 b; };
kernel void f(constant Params& p, device float* x) { x[0] = p.n; }"""
    ).text
    assert '!"air.struct_type_info"' in node(text, "p")
    assert (
        '!"air.arg_type_size", i32 96, !"air.arg_type_align_size", i32 16, !"air.arg_type_name", !"Params"'
        in node(text, "p")
    )
    members = next(line for line in text.splitlines() if '!"uint", !"n"' in line)
    assert (
        'i32 4, i32 2, i32 4, !"half", !"h", i32 16, i32 32, i32 2, !"Inner", !"inner", !"air.struct_type_info"'
        in members
    )
    assert '!"bool2", !"b"' in members
    assert any(
        'i32 0, i32 16, i32 0, !"float3", !"v", i32 16, i32 12, i32 0, !"packed_float3", !"w"'
        in line
        for line in text.splitlines()
    )


def test_threadgroup_arrays_are_undefined_globals(air):
    text = air(
        HEAD
        + """
template <class T> void fill(threadgroup T* t, uint i) { t[i] = T(i); }
kernel void f(device float* x, uint i [[thread_index_in_threadgroup]]) {
  threadgroup float tile[64];
  threadgroup half4 other[8][2];
  fill(tile, i);
  other[i][0] = half4(i);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  x[i] = tile[63 - i] + other[i][1].x;
}"""
    ).module("f")
    assert re.search(r"= internal addrspace\(3\) global \[64 x float\] undef, align 4", text)
    assert re.search(r"= internal addrspace\(3\) global \[8 x \[2 x .*\]\] undef, align 8", text)
    assert "call void @air.wg.barrier(i32 2, i32 1)" in text
    assert re.search(r"declare void @air.wg.barrier\(i32, i32\) #(\d+)", text)
    assert "addrspacecast" not in text


def test_pointers_keep_their_address_space_through_classes(air):
    text = air(
        HEAD
        + """
struct Loader {
  const device half* source; threadgroup half* target; ushort lane;
  Loader(const device half* s, threadgroup half* t, ushort l) : source(s + l), target(t + l), lane(l) {}
  void copy(ushort n) { for (ushort i = 0; i < n; i += 32) target[i] = source[i]; source += n; }
};
kernel void f(const device half* x, device half* y, threadgroup half* t, constant ushort& n,
              ushort lane [[thread_index_in_simdgroup]]) {
  Loader loader(x, t, lane);
  loader.copy(n);
  loader.copy(n);
  y[lane] = t[lane];
}"""
    ).module("f")
    assert "addrspacecast" not in text
    assert "alloca" not in text
    assert not re.search(r"(load|store) [^,]*, ptr %", text)


def test_templates_and_host_names(air):
    result = air(
        HEAD
        + """
template <typename T, int n>
[[kernel, max_total_threads_per_threadgroup(n * 32)]] void scale(device T* x [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  x[i] = x[i] * T(n);
}
#define instantiate(name, ...) template [[host_name(name)]] [[kernel]] decltype(scale<__VA_ARGS__>) scale<__VA_ARGS__>;
instantiate("scale_half_2", half, 2)
template [[host_name("scale_bfloat_3")]] [[kernel]] void scale<bfloat, 3>(device bfloat*, uint);
[[host_name("other")]] kernel void plain(device int* x) { x[0] = 1; }
namespace n { kernel void inside(device int* x) { x[0] = 1; } }
"""
    )
    half = result.module("scale_half_2")
    assert "define weak_odr void @scale_half_2(" in half
    assert '"max-work-group-size"="64"' in half
    assert '!"air.max_work_group_size", i32 64' in half
    assert '!"air.max_work_group_size", i32 96' in result.module("scale_bfloat_3")
    assert "define void @other(" in result.module("other")
    assert 'define void @"n::inside"(' in result.module("n::inside")
    assert "scale" not in result.module("other")


def test_one_module_per_kernel(air):
    result = air(
        HEAD
        + "kernel void a(device int* x) { x[0] = 1; }\nkernel void b(device int* x) { x[0] = 2; }"
    )
    assert result.module("a").count("define") == 1
    assert "@b" not in result.module("a")


def test_methods_may_be_qualified_by_address_space(air):
    text = air(
        HEAD
        + """
struct Pair {
  float a, b;
  Pair() thread : a(0), b(0) {}
  Pair() threadgroup : a(0), b(0) {}
  float sum() const device { return a + b; }
  float sum() const constant { return a + b; }
  operator float() const thread { return a; }
  operator float() const device { return a; }
};
kernel void f(device Pair* p, constant Pair& q, device float* x) { x[0] = p->sum() + q.sum() + float(p[1]); }
"""
    ).module("f")
    assert text.count("load float") == 5


def test_loops_stay_rolled_with_their_hints(air):
    text = air(
        HEAD
        + """
kernel void f(device float* x) {
  float sum[8];
  #pragma unroll
  for (int i = 0; i < 8; ++i) sum[i] = x[i];
  #pragma clang loop unroll(full)
  for (int i = 0; i < 8; ++i) x[i + 8] = sum[i] * sum[7 - i];
}"""
    ).module("f")
    assert '!"llvm.loop.unroll.enable"' in text
    assert '!"llvm.loop.unroll.full"' in text


def test_array_arguments(air):
    text = air(
        HEAD
        + """
template <class T> T last(constant T x[3]) { return x[2]; }
kernel void f(constant uint4 (&tab)[2] [[buffer(5)]], constant int sizes[3] [[buffer(1)]], device int* x) {
  x[0] = tab[1].x + last(sizes);
}"""
    ).module("f")
    assert '"air.buffer_size", i32 32, !"air.location_index", i32 5' in node(text, "tab")
    assert '"air.location_index", i32 1' in node(text, "sizes")
