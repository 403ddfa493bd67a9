# SPDX-License-Identifier: MIT
"""Apple-compiled kernels that make, choose or turn values: arange, random bits, select, RoPE."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from apple_kernels import FLOATS, bfloat16, per_thread, row_threads, type_name
from tolerance import assert_within, output_rounding, random

DTYPES = [np.dtype(t) for t in ("bool", "int8", "uint16", "int32", "int64", "float16", "float32")]
DTYPES.append(bfloat16)
_F32 = 2.0**-24


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d != np.bool_], ids=type_name)
def test_arange(run: Any, dtype: np.dtype[Any]) -> None:
    y = np.zeros(45, dtype)
    start, step = (np.array(v).astype(dtype)[()] for v in (3, 2))
    run(f"arange{type_name(dtype)}", {0: start, 1: step, 2: y}, threads=(45,), group=(32,))
    np.testing.assert_array_equal(y, (3 + 2 * np.arange(45)).astype(dtype))


def threefry(key: Any, counter: Any) -> Any:
    """Threefry-2x32 with 20 rounds (Salmon et al., 2011), for arrays of counters."""
    mask = 0xFFFFFFFF
    keys = [int(key[0]), int(key[1]), int(key[0]) ^ int(key[1]) ^ 0x1BD11BDA]
    a, b = ((counter[i].astype(np.uint64) + keys[i]) & mask for i in range(2))
    rotations = [[13, 15, 26, 6], [17, 29, 16, 24]]
    for i in range(5):
        for r in rotations[i % 2]:
            a = (a + b) & mask
            b = ((b << np.uint64(r)) | (b >> np.uint64(32 - r))) & mask
            b ^= a
        a = (a + keys[(i + 1) % 3]) & mask
        b = (b + keys[(i + 2) % 3] + i + 1) & mask
    return a.astype(np.uint32), b.astype(np.uint32)


@pytest.mark.parametrize("contiguous", [True, False], ids=["rbitsc", "rbits"])
@pytest.mark.parametrize("words", [8, 13])
def test_random_bits(run: Any, contiguous: bool, words: int) -> None:
    keys = np.random.default_rng(1).integers(0, 2**32, (3, 2), np.uint32)
    half, odd = words // 2, words % 2
    y = np.zeros((3, words), np.uint32)
    stored = keys if contiguous else np.ascontiguousarray(keys.T)
    buffers: dict[int, Any] = {0: stored, 1: y, 2: np.bool_(odd), 3: np.uint64(4 * words)}
    if not contiguous:
        buffers |= {4: np.int32(2), 5: np.int32([3, 2]), 6: np.int64([1, 3])}
    run("rbitsc" if contiguous else "rbits", buffers, threads=(3, half + odd), group=(3, 8))
    for row, key in zip(y, keys, strict=True):
        first = np.arange(half + odd)
        second = np.where(first + half + odd < words, first + half + odd, 0)
        a, b = threefry(key, (first, second))
        np.testing.assert_array_equal(row, np.concatenate([a, b])[:words])


@pytest.mark.parametrize("dtype", DTYPES, ids=type_name)
@pytest.mark.parametrize("kind", ["v", "vs", "sv"])
def test_select(run: Any, dtype: np.dtype[Any], kind: str) -> None:
    rng = np.random.default_rng(2)
    condition = rng.random(75) < 0.5
    a, b = (rng.integers(0, 100, 75).astype(dtype) for _ in "ab")
    if kind == "sv":
        a = a[:1].copy()
    if kind == "vs":
        b = b[:1].copy()
    y = np.zeros(75, dtype)
    small = dtype.itemsize < 8
    name = f"{kind}{'n' if small else ''}_Select{type_name(dtype)}"
    run(name, {0: condition, 1: a, 2: b, 3: y, 4: np.int32(75)},
        threads=(-(-75 // per_thread(dtype)),), group=(32,))  # fmt: skip
    np.testing.assert_array_equal(y, np.where(condition, a, b))


@pytest.mark.parametrize("dtype", FLOATS, ids=type_name)
def test_select_strided(run: Any, dtype: np.dtype[Any]) -> None:
    rng = np.random.default_rng(3)
    condition = rng.random((6, 9)) < 0.5
    a, b = random(rng, (9, 6), dtype), random(rng, (9,), dtype)
    y = np.zeros((6, 9), dtype)
    strides = [np.int64(s) for s in ([9, 1], [1, 6], [0, 1])]
    buffers = {0: condition, 1: a, 2: b, 3: y} | {4 + i: s for i, s in enumerate(strides)}
    run(f"g2_Select{type_name(dtype)}", buffers, threads=(9, 6), group=(8, 4))
    np.testing.assert_array_equal(y, np.where(condition, a.T, b))


@pytest.mark.parametrize("dtype", FLOATS, ids=type_name)
@pytest.mark.parametrize("kind", ["block", "looped"])
@pytest.mark.parametrize("width", [1, 33, 900])
def test_logsumexp(run: Any, dtype: np.dtype[Any], kind: str, width: int) -> None:
    x = random(np.random.default_rng(width), (4, width), dtype) * dtype.type(4)
    y = np.zeros(4, dtype)
    group = 1024 if kind == "looped" else row_threads(width, 4)
    x64 = x.astype(np.float64)
    top = x64.max(axis=1)
    expected = top + np.log(np.exp(x64 - top[:, None]).sum(axis=1))
    tolerance = 2 * _F32 * (8 + np.sqrt(width) + np.ptp(x64) + np.abs(expected))
    tolerance = tolerance + output_rounding(expected, dtype)
    run(f"{kind}_logsumexp_{dtype.name}", {0: x, 1: y, 2: np.int32(width)},
        threads=(4 * group,), group=(group,),
        check=lambda: assert_within(y, expected, tolerance))  # fmt: skip


@pytest.mark.parametrize("dtype", FLOATS, ids=type_name)
@pytest.mark.parametrize("traditional", [False, True], ids=["halves", "pairs"])
@pytest.mark.parametrize("kind", ["", "freqs_", "single_", "single_freqs_"])
def test_rope(run: Any, dtype: np.dtype[Any], kind: str, traditional: bool) -> None:
    single = kind.startswith("single")
    batch, heads, length, width = 2, 3, 1 if single else 5, 32
    x = random(np.random.default_rng(9), (batch, heads, length, width), dtype)
    y = np.zeros_like(x)
    offset, scale, base = 7, 0.5, 10000.0
    exponents = np.arange(width // 2) * 2 / width
    freqs = (base**exponents).astype(np.float32)
    buffers: dict[int, Any] = {0: x, 1: y, 2: np.int32([offset]), 3: np.float32(scale)}
    if "freqs" in kind:
        buffers |= {10: freqs, 11: np.int64(1)}
    else:
        buffers[10] = np.float32(np.log2(base))
    if single:
        buffers[4] = np.int64([width])
        launch = {"threads": (width // 2, batch * heads), "group": (16, 4)}
    else:
        strides = np.int64([length * width, width, 1])
        buffers |= {4: strides, 5: strides, 6: np.int64(0), 7: np.int32(heads)}
        launch = {"threads": (width // 2, length, batch * 1), "group": (16, 4, 2)}
    theta = (offset + np.arange(length))[:, None] * scale / freqs.astype(np.float64)
    x64 = x.astype(np.float64)
    one, two = (slice(0, None, 2), slice(1, None, 2)) if traditional else (
        slice(width // 2), slice(width // 2, None))  # fmt: skip
    expected = np.zeros(x.shape)
    expected[..., one] = x64[..., one] * np.cos(theta) - x64[..., two] * np.sin(theta)
    expected[..., two] = x64[..., one] * np.sin(theta) + x64[..., two] * np.cos(theta)
    # The kernel takes fast::cos of the angle, 2^-13 absolute within pi and not bounded by the
    # specification beyond, and makes the frequency by a fast exponential.
    angle = 2.0**-12 + 8 * _F32 * np.abs(theta).max()
    tolerance = angle * 2 * np.abs(x64).max() + output_rounding(expected, dtype)
    run(f"rope_{kind}{dtype.name}", buffers, **launch,
        constants={1: True, 2: traditional} | ({} if single else {3: False}),
        check=lambda: assert_within(y, expected, tolerance))  # fmt: skip
