# SPDX-License-Identifier: MIT
"""The metallib alone, driven as a host of Metal FlashAttention 1.0 does it."""

import subprocess
import sys

import numpy as np
import pytest

import pymfa


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    path = tmp_path_factory.mktemp("extract") / "kernels.metallib"
    command = [sys.executable, "-m", "pymfa", "extract", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{path}: {path.stat().st_size} bytes\n"
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 1
    assert "--force" in again.stderr
    assert subprocess.run([*command, "--force"], capture_output=True).returncode == 0
    return pymfa.device().library(path)


def test_it_has_what_the_original_has_and_more(library):
    assert {"hgemm", "sgemm", "bgemm", "attention", "convolution", "qgemm"} <= set(
        library.functions
    )


def flags(values, kind):
    return {index: kind(value) for index, value in values.items()}


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("name", "dtype"), [("hgemm", np.float16), ("sgemm", np.float32)])
def test_a_product_by_the_old_interface(library, name, dtype, transposed):
    """Its constants, buffer slots, threadgroup memory and grid, with the tile 32 x 32 x 32."""
    M, N, K, batch = 45, 70, 33, 2
    random = np.random.default_rng(1)
    a = random.standard_normal((batch, M, K)).astype(dtype)
    b = random.standard_normal((batch, K, N)).astype(dtype)
    c = np.zeros((batch, M, N), dtype)
    stored = np.ascontiguousarray(np.swapaxes(b, 1, 2)) if transposed else b
    constants = (
        flags({0: M, 1: N, 2: K}, np.uint32)
        | flags({10: False, 11: transposed, 13: False, 100: True, 101: False}, np.bool_)
        | flags({102: False, 103: False, 113: False, 50000: False, 50001: False}, np.bool_)
        | flags({20: 1.0, 21: 0.0}, np.float32)
        | flags({200: 16, 201: 16, 202: 32, 210: 2, 211: 2}, np.uint16)
    )
    known = {constant.index for constant in library.function(name).constants}
    pipeline = library.pipeline(name, {i: v for i, v in constants.items() if i in known})
    offsets = np.array([[i * x.nbytes // batch for x in (a, b, c, c)] for i in range(batch)],
                       np.uint64)  # fmt: skip
    elements = max(32 * 32 + 32 * 32, 32 * 32)
    with library.device.commands() as commands:
        commands.dispatch(
            pipeline, buffers={0: a, 1: stored, 2: c, 10: offsets},
            threadgroup_memory={0: elements * c.itemsize},
            threadgroups=(-(-N // 32), -(-M // 32), batch), threads_per_threadgroup=128,
        )  # fmt: skip
    expected = a.astype(np.float64) @ b.astype(np.float64)
    # Each result is rounded once, its sum in float32 K times.
    bound = np.finfo(dtype).eps + K * np.finfo(np.float32).eps
    scale = np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64)
    assert np.all(np.abs(c - expected) <= bound * scale)


def test_attention_by_the_old_interface(library):
    R, C, H, D = 40, 56, 3, 32
    random = np.random.default_rng(1)
    q, k, v = (random.standard_normal((n, H, D)).astype(np.float16) for n in (R, C, C))
    o = np.zeros((R, H, D), np.float16)
    constants = (
        flags({0: R, 1: C, 2: H, 3: D, 30: 16}, np.uint32)
        | flags({10: False, 11: True, 12: False, 13: False, 100: False, 101: False}, np.bool_)
        | flags({102: False, 103: False, 110: True, 112: False, 113: False, 114: True}, np.bool_)
        | flags({50000: False}, np.bool_)
        | {20: np.float32(D**-0.5)}
        | flags({200: 8, 201: 32, 210: 4}, np.uint16)
    )
    known = {constant.index for constant in library.function("attention").constants}
    pipeline = library.pipeline("attention", {i: v for i, v in constants.items() if i in known})
    # The original's formula, whose banks add 8 halves to rows of 64 bytes.
    rows, width = 32 + 8, D + 8
    elements = max(32 * width, rows * width)
    with library.device.commands() as commands:
        commands.dispatch(
            pipeline, buffers={0: q, 1: k, 2: v, 3: o},
            threadgroup_memory={0: 2 * elements},
            threadgroups=(-(-R // 32), H, 1), threads_per_threadgroup=128,
        )  # fmt: skip
    heads = [np.swapaxes(x, 0, 1)[None] for x in (q, k, v)]
    expected = np.swapaxes(pymfa.attention(*heads)[0], 0, 1)
    # Both round sums in float32 to float16 at the end; blocks of keys differ.
    assert np.all(np.abs(o.astype(np.float64) - expected) <= 2 * np.finfo(np.float16).eps)
