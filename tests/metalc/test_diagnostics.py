# SPDX-License-Identifier: MIT
# ruff: noqa: E501 (lines of MSL and AIR stand as they are)
"""Errors stand where the user made them and name what is wrong."""

import pytest

HEAD = "#include <metal_stdlib>\nusing namespace metal;\n"

# source of line 3, column, part of the message
CASES = [
    ("kernel float f(device float* a) { return 1; }", 14, "void return type"),
    ("kernel void f(float* a) {}", 22, "needs an address space"),
    ("kernel void f(float a) {}", 21, "needs an attribute"),
    (
        "kernel void f(device int* a [[buffer(2)]], device int* b [[buffer(2)]]) {}",
        56,
        "buffer index 2 is already used by 'a'",
    ),
    ("kernel void f(device int* a [[buffer(31)]]) {}", 31, "between 0 and 30"),
    ("kernel void f(device int* a [[bufer(0)]]) {}", 31, "unknown attribute 'bufer'"),
    ("kernel void f(device int* a [[threadgroup(0)]]) {}", 31, "does not fit"),
    ("kernel void f(threadgroup int* a [[buffer(0)]]) {}", 36, "does not fit"),
    ("kernel void f(float i [[thread_position_in_grid]]) {}", 21, "not valid for attribute"),
    ("kernel void f(uint2 i [[thread_index_in_simdgroup]]) {}", 21, "not valid for attribute"),
    ("kernel void f(device float* a) { double d = 1; a[0] = d; }", 34, "'double'"),
    ("kernel void f(device float* a) { threadgroup int x = 3; a[0] = x; }", 50, "initialiser"),
    ("kernel void f(device float* a) { a[0] = b; }", 41, "undeclared identifier 'b'"),
    (
        "kernel void f(device float4* a, device half4* b) { a[0] = b[0]; }",
        57,
        "no viable overloaded '='",
    ),
    (
        "kernel void f(device float* a, constant float* b) { device float* c = b; }",
        67,
        "cannot initialize",
    ),
    ("int counter;", 5, "'constant' address space"),
    (
        "float g(float x) { return x > 0 ? g(x - 1) : 0; } kernel void f(device float* a) { a[0] = g(2); }",
        7,
        "recursion",
    ),
    (
        "float g(float x); kernel void f(device float* a) { a[0] = g(2); }",
        7,
        "used but not defined",
    ),
    (
        "constant int a [[function_constant(1)]]; constant int b [[function_constant(1)]];",
        55,
        "same index as 'a'",
    ),
    ("[[max_total_threads_per_threadgroup(5000)]] kernel void f() {}", 3, "between 1 and 1024"),
    (
        'kernel void f() {} namespace n { kernel void f(); } [[host_name("f")]] kernel void g() {}',
        84,
        "'f' exists already",
    ),
]


@pytest.mark.parametrize(
    "line, column, message", CASES, ids=[case[2] + str(i) for i, case in enumerate(CASES)]
)
def test_place_and_message(compile_msl, line, column, message):
    result = compile_msl(HEAD + line + "\n")
    assert result.status == 1
    assert result.output == b""
    first = next(text for text in result.errors.splitlines() if "error:" in text)
    assert first.startswith(f"test.metal:3:{column}: error: "), result.errors
    assert message in first


def test_snippet_shows_the_source_as_written(compile_msl):
    line = (
        'template [[host_name("x")]] [[kernel]] void f<int>(device int* a [[threadgroup(0)]]) no;'
    )
    result = compile_msl(HEAD + line)
    assert line in result.errors


def test_included_file_and_line(compile_msl, tmp_path):
    (tmp_path / "part.h").write_text("#pragma once\n\nfloat g() { return missing; }\n")
    result = compile_msl('#include "part.h"\nkernel void f() {}\n', "-I", str(tmp_path))
    assert result.status == 1
    assert "part.h:3:20: error: use of undeclared identifier 'missing'" in result.errors


def test_macros_of_the_command_line(compile_msl):
    source = "kernel void NAME(device int* a) { a[0] = VALUE; }"
    assert compile_msl(source, "-DNAME=f", "-D", "VALUE=3").status == 0
    assert compile_msl(source).status == 1


@pytest.mark.parametrize("arguments", [["--frobnicate"], ["-std=c++17"], []])
def test_bad_command_line(metalc, arguments):
    import subprocess

    done = subprocess.run([metalc, *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr


def test_missing_file(compile_msl, tmp_path):
    result = compile_msl(tmp_path / "absent.metal")
    assert result.status == 1
    assert "absent.metal" in result.errors
