# SPDX-License-Identifier: MIT
# ruff: noqa: E501 (lines of MSL and AIR stand as they are)
"""The standard library maps to AIR's intrinsics by name, type and fast math."""

import pathlib

import pytest

HEAD = "#include <metal_stdlib>\nusing namespace metal;\n"


def body(air, type_name, expression, *flags):
    source = f"{HEAD}kernel void f(device {type_name}* x, uint i [[thread_position_in_grid]]) {{ {type_name} a = x[i], b = x[i + 1]; x[i] = {expression}; }}"
    return air(source, *flags).module("f")


@pytest.mark.parametrize(
    "type_name, expression, name, fast",
    [
        ("float", "exp(a)", "air.exp.f32", "air.fast_exp.f32"),
        ("float", "precise::exp(a)", "air.exp.f32", "air.exp.f32"),
        ("float", "fast::exp(a)", "air.fast_exp.f32", "air.fast_exp.f32"),
        ("half", "exp(a)", "air.exp.f16", "air.exp.f16"),
        ("half", "precise::exp(a)", "air.exp.f32", "air.exp.f32"),
        ("bfloat", "exp(a)", "air.exp.f32", "air.fast_exp.f32"),
        ("float4", "sin(a)", "air.sin.v4f32", "air.fast_sin.v4f32"),
        ("half3", "sqrt(a)", "air.sqrt.v3f16", "air.sqrt.v3f16"),
        ("float", "max(a, b)", "air.fmax.f32", "air.fast_fmax.f32"),
        ("float", "fma(a, b, a)", "air.fma.f32", "air.fma.f32"),
        ("int", "max(a, b)", "air.max.s.i32", "air.max.s.i32"),
        ("ushort", "min(a, b)", "air.min.u.i16", "air.min.u.i16"),
        ("uint2", "clamp(a, b, a)", "air.clamp.u.v2i32", "air.clamp.u.v2i32"),
        ("uint", "popcount(a)", "air.popcount.i32", "air.popcount.i32"),
        ("float", "simd_sum(a)", "air.simd_sum.f32", "air.simd_sum.f32"),
        ("bfloat", "simd_sum(a)", "air.simd_sum.f32", "air.simd_sum.f32"),
        ("bfloat", "simd_shuffle(a, 1)", "air.simd_shuffle.u.i16", "air.simd_shuffle.u.i16"),
        (
            "long",
            "simd_shuffle_down(a, 1)",
            "air.simd_shuffle_down.u.v2i32",
            "air.simd_shuffle_down.u.v2i32",
        ),
        ("int", "quad_sum(a)", "air.quad_sum.s.i32", "air.quad_sum.s.i32"),
        ("float", "float(simd_all(a > 0))", "air.simd_all", "air.simd_all"),
        ("float", "float(int(a))", "air.convert.s.i32.f.f32", "air.convert.s.i32.f.f32"),
        ("float", "float(uint(a))", "air.convert.f.f32.u.i32", "air.convert.f.f32.u.i32"),
        (
            "float4",
            "float4(half4(a))",
            "air.convert.f.v4f16.f.v4f32",
            "air.convert.f.v4f16.f.v4f32",
        ),
        (
            "float2",
            "float2(bfloat2(half2(a)))",
            "air.convert.f.v2bf16.f.v2f32",
            "air.convert.f.v2bf16.f.v2f32",
        ),
    ],
)
def test_intrinsic(air, type_name, expression, name, fast):
    assert f"@{name}(" in body(air, type_name, expression, "-fno-fast-math")
    assert f"@{fast}(" in body(air, type_name, expression, "-ffast-math")


def test_half_and_bfloat_arithmetic_is_native(air):
    assert "fadd half" in body(air, "half", "a + b", "-fno-fast-math")
    assert "fmul bfloat" in body(air, "bfloat", "a * b", "-fno-fast-math")
    assert "llvm.fmuladd.bf16" in body(air, "bfloat", "a * b + a", "-fno-fast-math")
    assert "llvm.fmuladd.v4f32" in body(air, "float4", "a * b + a", "-fno-fast-math")


def test_fast_math_flags(air):
    assert "fadd fast float" in body(air, "float", "a + b", "-ffast-math")
    assert "fadd float" in body(air, "float", "a + b", "-fno-fast-math")


def test_nan_survives_fast_math(air):
    text = body(air, "float", "isnan(a) ? 0 : b", "-ffast-math")
    assert "icmp" in text
    assert "fcmp" not in text


def test_literals_are_not_double(air):
    assert "double" not in body(air, "float", "a * 2.5 + 1e-3").split("define")[1]
    assert "0xH3E00" in body(air, "half", "a + 1.5h")
    assert "0xR3FC0" in body(air, "bfloat", "a + 1.5bf")


def test_matrices(air):
    text = air(
        HEAD
        + """
kernel void f(device half* a, device float* c, threadgroup half* t) {
  simdgroup_half8x8 A, B;
  simdgroup_float8x8 C = make_filled_simdgroup_matrix<float, 8, 8>(0);
  simdgroup_load(A, a, 64, ulong2(8, 16));
  simdgroup_load(B, t, 8, 0, true);
  simdgroup_multiply_accumulate(C, A, B, C);
  C.thread_elements()[1] += 1;
  simdgroup_store(C, c, 32);
}"""
    ).module("f")
    assert (
        "@air.simdgroup_matrix_8x8_load.v64f16.p1f16(ptr addrspace(1) %a, i64 64, <2 x i64> <i64 8, i64 16>, i1 false)"
        in text
    )
    assert (
        "@air.simdgroup_matrix_8x8_load.v64f16.p3f16(ptr addrspace(3) %t, i64 8, <2 x i64> zeroinitializer, i1 true)"
        in text
    )
    assert (
        "@air.simdgroup_matrix_8x8_multiply_accumulate.v64f32.v64f16.v64f16.v64f32(<64 x half>"
        in text
    )
    assert "@air.simdgroup_matrix_8x8_store.v64f32.p1f32(<64 x float>" in text
    assert "alloca" not in text


def test_atomics(air):
    text = air(
        HEAD
        + """
kernel void f(device atomic_uint* u, device atomic_float* x, threadgroup atomic_int* t) {
  atomic_fetch_add_explicit(u, 1, memory_order_relaxed);
  atomic_fetch_add_explicit(x, 1, memory_order_relaxed);
  atomic_fetch_max_explicit(t, 3, memory_order_relaxed);
  uint expected = 4;
  while (!atomic_compare_exchange_weak_explicit(u, &expected, 5u, memory_order_relaxed, memory_order_relaxed)) {}
}"""
    ).module("f")
    assert "@air.atomic.global.add.u.i32(ptr addrspace(1) %u, i32 1, i32 0, i32 2, i1 true)" in text
    assert (
        "@air.atomic.global.add.f32(ptr addrspace(1) %x, float 1.000000e+00, i32 0, i32 2, i1 true)"
        in text
    )
    assert "@air.atomic.local.max.s.i32(ptr addrspace(3) %t, i32 3, i32 0, i32 1, i1 true)" in text
    assert "@air.atomic.global.cmpxchg.weak.i32(ptr addrspace(1) %u, ptr" in text


def test_component_stores_touch_one_element(air):
    text = air(HEAD + "kernel void f(device float4* x) { x[1].z = 2; }").module("f")
    assert "store float 2.000000e+00" in text
    assert "load" not in text.split("define")[1]


def test_shift_amounts_wrap(air):
    text = air(HEAD + "kernel void f(device uint* x) { x[0] = x[1] << x[2]; }").module("f")
    assert "and i32" in text


@pytest.mark.parametrize("flag", ["-ffast-math", "-fno-fast-math"])
def test_everything(compile_msl, flag):
    result = compile_msl(pathlib.Path(__file__).with_name("library.metal"), flag)
    assert result.status == 0, result.errors
    assert result.errors == ""
