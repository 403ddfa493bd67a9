# SPDX-License-Identifier: MIT
# ruff: noqa: E501 (lines of MSL and AIR stand as they are)
"""Function constants, derived constants and conditions on arguments."""

import re

SOURCE = """#include <metal_stdlib>
using namespace metal;
constant uint M [[function_constant(0)]];
constant bool maybe [[function_constant(7)]];
constant float2 pair [[function_constant(9)]];
constant bool has_maybe = is_function_constant_defined(maybe) ? maybe : false;
constant uint blocks = (M + 31) / 32;
constant uint unused = M * 7;
kernel void f(device float* x [[buffer(0)]], device float* y [[buffer(1), function_constant(has_maybe)]],
              constant float* z [[buffer(2), function_constant(maybe)]], uint i [[thread_position_in_grid]]) {
  x[i] = blocks + pair.y;
  if (has_maybe) x[i] += y[i];
}
kernel void plain(device float* x) { x[0] = 1; }
"""


def test_globals(air):
    text = air(SOURCE).module("f")
    assert re.search(
        r"@_Z1M\.MTL_FC_INIT_0_j = internal addrspace\(2\) externally_initialized constant i32 undef, "
        r'section "air.fc_initializer"',
        text,
    )
    assert re.search(
        r"@_Z5maybe\.MTL_FC_INIT_7_b = internal addrspace\(2\) externally_initialized constant i8 undef",
        text,
    )
    assert re.search(r"@_ZL1M = internal addrspace\(2\) global i32 undef", text)
    assert re.search(r"@__metal_implicit_fc_pred_0 = internal addrspace\(2\) global i8 0", text)
    assert re.search(r"@__metal_implicit_fc_pred_1 = internal addrspace\(2\) global i8 0", text)
    assert "@llvm.compiler.used = appending global [2 x ptr]" in text
    assert "6unused" not in text


def test_constructor(air):
    text = air(SOURCE).module("f")
    body = re.search(
        r'define internal void @_GLOBAL__sub_I_test\.metal.*?section "air.static_init" \{(.*?)^\}',
        text,
        re.S | re.M,
    ).group(1)
    assert "air.is_function_constant_defined(ptr addrspace(2) @_Z5maybe.MTL_FC_INIT_7_b)" in body
    assert body.count("air.normalize_function_constant_predicate.i8") == 2
    assert (
        "@llvm.global_ctors = appending global [1 x { i32, ptr, ptr }] [{ i32, ptr, ptr } { i32 65535,"
        in text
    )


def test_metadata(air):
    text = air(SOURCE).module("f")
    assert '!{ptr addrspace(2) @_Z1M.MTL_FC_INIT_0_j, !"uint", !"M", i32 0, i1 true}' in text
    assert '!"bool", !"maybe", i32 7, i1 false}' in text
    assert '!"float2", !"pair", i32 9, i1 true}' in text
    assert '!{i32 1, !"air.function_constant", ' in text
    assert '!{ptr addrspace(2) @__metal_implicit_fc_pred_0, !"bool", !"has_maybe"}' in text


def test_kernel_without_constants_has_none(air):
    text = air(SOURCE).module("plain")
    assert "air.function_constants" not in text
    assert "@llvm.global_ctors = appending global [0 x { i32, ptr, ptr }]" in text


def test_constants_of_the_source_are_folded(air):
    text = air("""#include <metal_stdlib>
using namespace metal;
constant float table[4] = {1, 2, 3, 4};
constant constexpr int n = 3;
template <class T> struct Traits { static constexpr constant T one = T(1); };
kernel void f(device float* x, uint i [[thread_position_in_grid]]) { x[i] = table[i & 3] + n + Traits<float>::one; }
""").module("f")
    assert "addrspace(2) constant [4 x float]" in text
    assert "air.static_init" not in text
    assert "4.000000e+00" in text
