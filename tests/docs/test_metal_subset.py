# SPDX-License-Identifier: MIT
"""docs/metal-subset.md -> every row of its tables compiled, and accepted or refused as it says."""

import os
import re
import subprocess
from pathlib import Path

import pytest

PAGE = (Path(__file__).resolve().parents[2] / "docs/metal-subset.md").read_text()
METALC = os.environ.get("MFA_METALC", "")
pytestmark = pytest.mark.skipif(not METALC, reason="needs mfa-metalc")

HEAD = "#include <metal_stdlib>\nusing namespace metal;\n"

# The beginning of a row -> kernels that show it.
ACCEPTED = {
    "`kernel` / `[[kernel]]`": [
        "kernel void f(device int* x) { x[0] = 1; }",
        '[[kernel]] [[host_name("g")]] void f(device int* x) { x[0] = 1; }',
        "[[max_total_threads_per_threadgroup(64)]] kernel void f(device int* x) { x[0] = 1; }",
    ],
    "templates": [
        "template <typename T> kernel void f(device T* x) { x[0] = T(1); }\n"
        'template [[host_name("x")]] [[kernel]] decltype(f<half>) f<half>;'
    ],
    "address spaces": [
        "int get(const device int* x) { return *x; } int get(const thread int* x) { return *x; }\n"
        "kernel void f(device int* x) { int y = 1; x[0] = get(x) + get(&y); }"
    ],
    "`[[buffer(n)]]`": [
        "kernel void f(device int* x [[buffer(3)]], threadgroup int* y [[threadgroup(0)]],"
        " device int* z) { y[0] = 1; x[0] = y[0]; z[0] = 1; }"
    ],
    "all built-in arguments": [
        "kernel void f(device uint* x, uint3 i [[thread_position_in_grid]],"
        " ushort lane [[thread_index_in_simdgroup]], uint2 n [[threads_per_grid]])"
        " { x[i.x] = lane + n.y; }"
    ],
    "function constants": [
        "constant uint2 v [[function_constant(0)]];\n"
        "constant bool given = is_function_constant_defined(v);\n"
        "kernel void f(device uint* x [[buffer(0), function_constant(given)]]) { x[0] = v.x; }"
    ],
    "`threadgroup` variables": [
        "kernel void f(device int* x, uint i [[thread_index_in_threadgroup]])"
        " { threadgroup int t[32]; t[i] = 1; x[i] = t[i]; }"
    ],
    "`half`, `bfloat`": [
        "kernel void f(device half* x, device bfloat* y, device long* z, device bool* b)"
        " { x[0] = 1.5h; y[0] = 1.5bf; z[0] = 1; b[0] = true; x[1] = half(1.0 * x[0]); }"
    ],
    "vectors": [
        "kernel void f(device packed_float3* x, device bool* b)"
        " { float3 y = x[0]; y.xz = y.zx; x[1] = packed_float3(y.zyx); b[0] = (y > 1).x; }"
    ],
    "matrices": [
        "kernel void f(device float4* x) { float4x4 m(1); half2x2 h(1);"
        " x[0] = transpose(m * m + m) * x[1] * determinant(m) * float(h[0][0]); }"
    ],
    "`<metal_math>`": [
        "kernel void f(device float3* x) { x[0] = normalize(cross(x[1], x[2])) + precise::exp(x[1])"
        " + fast::exp(x[2]) + clamp(x[0], 0.0f, 1.0f);"
        " x[1] = select(x[0], x[2], isnan(x[2])) * popcount(3u); }"
    ],
    "`<metal_simdgroup>`": [
        "kernel void f(device float* x) { x[0] = simd_sum(x[0]) + simd_prefix_inclusive_sum(x[0])"
        " + simd_shuffle_xor(x[0], 1) + quad_sum(x[0]) + (simd_all(x[0] > 0) ? 1 : 0); }"
    ],
    "`<metal_simdgroup_matrix>`": [
        "kernel void f(device float* x, device half* y) { simdgroup_float8x8 a(0);"
        " simdgroup_half8x8 h; simdgroup_bfloat8x8 b(0); simdgroup_load(h, y, 8);"
        " simdgroup_multiply_accumulate(a, h, h, a); a.thread_elements()[0] += 1;"
        " simdgroup_store(a, x, 8); }"
    ],
    "`<metal_atomic>`": [
        "kernel void f(device atomic_uint* x, device atomic<float>* y) { threadgroup atomic_int z;"
        " atomic_fetch_add_explicit(x, 1u, memory_order_relaxed);"
        " atomic_fetch_add_explicit(y, 1.0f, memory_order_relaxed);"
        " atomic_store_explicit(&z, 1, memory_order_relaxed); }"
    ],
    "`<metal_limits>`": [
        "kernel void f(device float* x) { array<float, 2> a; a[0] = numeric_limits<float>::max();"
        " static_assert(is_same<int, int>::value); x[0] = a[0]; }"
    ],
    "`#pragma unroll`": [
        "kernel void f(device float* x) {\n#pragma unroll\nfor (int i = 0; i < 4; ++i) x[i] = i;\n"
        "#pragma clang loop unroll(full)\nfor (int i = 0; i < 4; ++i) x[i] += 1; }"
    ],
}
REFUSED = {
    "`double`": [
        "kernel void f(device float* x) { double y = x[0]; x[0] = y; }",
        "kernel void f(device float* x) { long double y = x[0]; x[0] = y; }",
    ],
    "pointers and references": ["kernel void f(float* x) { x[0] = 1; }"],
    "variables outside": [
        "int g; kernel void f(device int* x) { x[0] = g; }",
        "kernel void f(device int* x) { static int g = 1; x[0] = g; }",
    ],
    "initialisers": ["kernel void f(device int* x) { threadgroup int g = 1; x[0] = g; }"],
    "recursion": [
        "int r(int x) { return x < 2 ? x : r(x - 1); } kernel void f(device int* x) { *x = r(9); }",
        "int r(int x); kernel void f(device int* x) { x[0] = r(9); }",
        "kernel void f(device int* x) { int* y = new int; x[0] = *y; }",
    ],
    "unknown attributes": [
        "kernel void f(device int* x [[wrong]]) { x[0] = 1; }",
        "kernel void f(device int* x [[buffer(0)]], device int* y [[buffer(0)]]) { x[0] = y[0]; }",
        "kernel void f(device int* x [[buffer(31)]]) { x[0] = 1; }",
    ],
    "textures": [
        "kernel void f(texture2d<float> t [[texture(0)]], device float* x) { x[0] = 1; }",
        "vertex float4 f() { return 0; }",
    ],
    "function tables": [
        "kernel void f(visible_function_table<float(float)> t [[buffer(1)]]) {}",
        "[[visible]] float g(float x) { return x; }",
        "[[stitchable]] float g(float x) { return x; }",
        "struct A { device float* x [[id(0)]]; }; kernel void f(device A& a) { a.x[0] = 1; }",
    ],
    "`static_cast<bfloat>": [
        "kernel void f(device half* x, device bfloat* y) { y[0] = static_cast<bfloat>(x[0]); }"
    ],
    "asynchronous copies": ["#include <metal_logging>", "#include <metal_tensor>"],
}


def rows(heading: str) -> list[str]:
    section = PAGE[PAGE.index(heading) :].split("\n## ")[0]
    cells = re.findall(r"^\| (.*?) \|", section, re.M)
    return [cell for cell in cells if cell != "what"]


def compile_(source: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [METALC, "-o", folder / "out.metallib", "-"]
    return subprocess.run(command, input=HEAD + source, capture_output=True, text=True)


def beginning(row: str, shown: dict[str, list[str]]) -> str:
    [found] = [key for key in shown if row.startswith(key)]
    return found


@pytest.mark.parametrize("row", rows("## Accepted"))
def test_accepted(row: str, tmp_path: Path) -> None:
    for source in ACCEPTED[beginning(row, ACCEPTED)]:
        done = compile_(source, tmp_path)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("row", rows("## Refused"))
def test_refused(row: str, tmp_path: Path) -> None:
    for source in REFUSED[beginning(row, REFUSED)]:
        done = compile_(source, tmp_path)
        assert done.returncode == 1, source
        assert re.search(r"^\S+:\d+:\d+: (fatal )?error: ", done.stderr, re.M), done.stderr
        assert not (tmp_path / "out.metallib").exists()
