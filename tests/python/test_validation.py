# SPDX-License-Identifier: MIT
"""The device that checks kernels: a kernel per defect is caught and named, correct ones are not."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from every_operation import OPERATIONS

import pymfa

HEAD = "#include <metal_stdlib>\n#include <metal_simdgroup_matrix>\nusing namespace metal;\n"


@pytest.fixture(scope="module")
def checking() -> pymfa.Device:
    try:
        return pymfa.device("validate")
    except pymfa.InvalidValue:
        pytest.skip("a GPU validates by MTL_SHADER_VALIDATION")


def run(
    device: pymfa.Device, body: str, *, parameters: str = "", groups: int = 1, threads: int = 64,
    memory: int = 256, n: int = 64,
) -> Any:  # fmt: skip
    source = (
        HEAD
        + "kernel void f(device uint *x [[buffer(0)]], device uint *y [[buffer(3)]],"
        + " threadgroup uint *t [[threadgroup(0)]], uint i [[thread_position_in_grid]],"
        + " uint j [[thread_index_in_threadgroup]]"
        + f"{parameters}) {{\n{body}\n}}"
    )
    pipeline = device.library(source=source).pipeline("f")
    x, y = np.arange(n, dtype=np.uint32), np.zeros(n, np.uint32)
    slots = {0: x, 3: y}
    used = {a.slot for a in pipeline.arguments if a.kind == "buffer" and a.used}
    with device.commands() as commands:
        commands.dispatch(
            pipeline,
            buffers={slot: slots[slot] for slot in used},
            threadgroup_memory={0: memory} if "t[" in body or "(t" in body else {},
            threadgroups=groups,
            threads_per_threadgroup=threads,
        )
    return x, y


BARRIER = "threadgroup_barrier(mem_flags::mem_threadgroup);"

DEFECTS = {
    "reads beyond a buffer": (
        "y[i] = x[i + 1];",
        ["out of bounds", "thread (63, 0, 0) of threadgroup (0, 0, 0) reads 4 bytes",
         "offset 256 of argument 'x' at buffer index 0, which has 256 bytes"],
    ),
    "writes beyond a buffer": (
        "y[i * 2] = 1;",
        ["out of bounds", "thread (32, 0, 0)", "writes 4 bytes", "argument 'y' at buffer index 3"],
    ),
    "reads before a buffer": (
        "y[i] = x[int(i) - 1];",
        ["out of bounds", "thread (0, 0, 0)", "offset -4 of argument 'x'"],
    ),
    "changes what is beyond a buffer": (
        "atomic_fetch_add_explicit((device atomic_uint *)y + i + 60, 1u, memory_order_relaxed);",
        ["out of bounds", "thread (4, 0, 0)", "changes 4 bytes", "argument 'y'"],
    ),
    "writes beyond threadgroup memory": (
        f"t[j * 2] = 1; {BARRIER} y[i] = t[0];",
        ["out of bounds", "writes", "offset 256 of argument 't' at threadgroup index 0"],
    ),
    "writes beyond a threadgroup variable": (
        f"threadgroup uint small[32]; small[j] = j; {BARRIER} y[i] = small[0];",
        ["out of bounds", "threadgroup variable", "small", "which has 128 bytes"],
    ),
    "loads a matrix from beyond a buffer": (
        "simdgroup_float8x8 m; simdgroup_load(m, (device float *)x + j / 32 * 8, 8);"
        "simdgroup_store(m, (device float *)y, 8);",
        ["out of bounds", "reads 4 bytes", "argument 'x'"],
    ),
    "stores a matrix beyond threadgroup memory": (
        "simdgroup_float8x8 m(1.0f); simdgroup_store(m, (threadgroup float *)(t + 4), 8);"
        f"{BARRIER} y[i] = t[4];",
        ["out of bounds", "writes 4 bytes", "argument 't'"],
    ),
    "reads what nobody wrote": (
        f"if (j != 5) t[j] = j; {BARRIER} y[i] = t[63 - j];",
        ["uninitialised", "thread (58, 0, 0)", "offset 20 of argument 't'"],
    ),
    "reads what another simdgroup writes": (
        "t[j] = j; y[i] = t[63 - j];",
        ["race", "simdgroup 1 reads", "that simdgroup 0 wrote"],
    ),
    "writes what another simdgroup reads": (
        f"t[j] = j; {BARRIER} uint s = t[63 - j]; t[j] = s; {BARRIER} y[i] = t[j];",
        ["race", "simdgroup 1 writes", "that simdgroup 0 read"],
    ),
    "writes what another simdgroup writes": (
        f"t[j % 32] = j; {BARRIER} y[i] = t[j % 32];",
        ["race", "simdgroup 1 writes", "that simdgroup 0 wrote"],
    ),
    "ends before a barrier": (
        f"t[j] = j; if (j >= 40) return; {BARRIER} y[i] = t[j];",
        ["barrier divergence", "thread (0, 0, 0) of threadgroup (0, 0, 0) waits",
         "thread (40, 0, 0) of threadgroup (0, 0, 0) has gone another way"],
    ),
    "goes to another barrier": (
        f"if (j < 32) {{ t[j] = j; {BARRIER} y[i] = t[j]; }}"
        f"else {{ y[i] = 3; {BARRIER} y[i] += 1; }}",
        ["barrier divergence", "thread (32, 0, 0)"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_kernel_with_a_defect_is_reported(checking: pymfa.Device, defect: str) -> None:
    body, words = DEFECTS[defect]
    with pytest.raises(pymfa.Failure) as caught:
        run(checking, body)
    message = str(caught.value)
    assert "kernel 'f'" in message
    for word in words:
        assert word in message, message


CORRECT = {
    "within bounds": "y[i] = x[63 - i];",
    "threadgroup memory": f"t[j] = x[i]; {BARRIER} y[i] = t[63 - j];",
    "its own simdgroup": "t[j] = x[i]; simdgroup_barrier(mem_flags::mem_threadgroup);"
    "y[i] = t[j ^ 1];",
    "two phases": f"t[j] = x[i]; {BARRIER} uint s = t[63 - j]; {BARRIER} t[j] = s; {BARRIER}"
    "y[i] = t[j ^ 33];",
    "atomic": f"if (j == 0) t[0] = 0; {BARRIER}"
    "atomic_fetch_add_explicit((threadgroup atomic_uint *)t, 1u, memory_order_relaxed);"
    f"{BARRIER} y[i] = t[0];",
    "divergence without a barrier": "if (j >= 40) return; y[i] = x[i];",
    "a barrier in a uniform loop": f"t[j] = 0; for (uint k = 0; k < 4; ++k) {{ {BARRIER}"
    f"uint s = t[j ^ 32]; {BARRIER} t[j] = s + k; }} y[i] = t[j];",
    "a choice of buffers": "device uint *p = x[i] % 2 ? x : y; p[i] = i;",
    "matrices": "simdgroup_float8x8 m; simdgroup_load(m, (device float *)x, 8);"
    "simdgroup_store(m, (device float *)y, 8);",
}


@pytest.mark.parametrize("kind", CORRECT)
def test_a_correct_kernel_is_not_reported(checking: pymfa.Device, kind: str) -> None:
    threads = 32 if kind == "matrices" else 64
    run(checking, CORRECT[kind], threads=threads)


def test_accesses_out_of_bounds_do_no_harm(checking: pymfa.Device) -> None:
    x = np.arange(8, dtype=np.uint32)
    source = HEAD + "kernel void f(device uint *x [[buffer(0)]]) { x[3] = x[5000000000] + 1; }"
    pipeline = checking.library(source=source).pipeline("f")
    with pytest.raises(pymfa.Failure, match="out of bounds"), checking.commands() as commands:
        commands.dispatch(pipeline, buffers={0: x}, threads=1, threads_per_threadgroup=1)
    assert x.tolist() == [0, 1, 2, 1, 4, 5, 6, 7]  # what lies outside reads as 0


def test_each_kind_of_defect_is_reported_once(checking: pymfa.Device) -> None:
    with pytest.raises(pymfa.Failure) as caught:
        run(checking, "y[i + 64] = x[i + 64];")
    assert str(caught.value).count("out of bounds") == 2


@pytest.mark.parametrize("dtype", [np.float32, np.float16, pymfa.bfloat16], ids=str)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_our_own_kernels_are_not_reported(
    checking: pymfa.Device, operation: str, dtype: Any
) -> None:
    OPERATIONS[operation](dtype, np.copy, checking)


def test_the_environment_makes_the_default_device_check() -> None:
    code = "import pymfa; print(pymfa.device('cpu').description)"
    ran = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"MFA_VALIDATE": "1"}, text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    if "no device" in ran.stderr:
        pytest.skip("no CPU device")
    assert "with validation" in ran.stdout, ran.stderr
