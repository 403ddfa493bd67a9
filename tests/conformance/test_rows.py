# SPDX-License-Identifier: MIT
"""Apple-compiled row reductions: softmax, RMS norm and layer norm, in one block and looped."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from apple_kernels import FLOATS, row_threads, type_name
from tolerance import assert_within, output_rounding, random

_F32 = 2.0**-24
ROWS = 5


def rows_of(dtype: np.dtype[Any], width: int) -> Any:
    return random(np.random.default_rng(width), (ROWS, width), dtype)


def launch(width: int, looped: bool, reads: int) -> dict[str, Any]:
    # The looped kernels read 32 partial results, one per simdgroup of a full threadgroup.
    threads = 1024 if looped else row_threads(width, reads)
    return {"threads": (ROWS * threads,), "group": (threads,)}


@pytest.mark.parametrize("dtype", FLOATS, ids=type_name)
@pytest.mark.parametrize("kind", ["block", "looped"])
@pytest.mark.parametrize("width", [1, 31, 128, 1000])
def test_softmax(run: Any, dtype: np.dtype[Any], kind: str, width: int) -> None:
    x = rows_of(dtype, width)
    y = np.zeros_like(x)
    precise = "" if dtype == np.float32 else "precise_"
    run(f"{kind}_softmax_{precise}{dtype.name}", {0: x, 1: y, 2: np.int32(width)},
        **launch(width, kind == "looped", 4))  # fmt: skip
    e = np.exp(x.astype(np.float64) - x.astype(np.float64).max(axis=1, keepdims=True))
    expected = e / e.sum(axis=1, keepdims=True)
    # The fast exponential of (x - max): a rounding of the difference times its size, 8 ulps more.
    spread = np.ptp(x.astype(np.float64), axis=1, keepdims=True) + 8 + np.sqrt(width)
    tolerance = 2 * _F32 * spread * expected * 2 + output_rounding(expected, dtype)
    assert_within(y, expected, tolerance)


@pytest.mark.parametrize("dtype", FLOATS, ids=type_name)
@pytest.mark.parametrize("kind", ["", "_looped"])
@pytest.mark.parametrize("width", [7, 384, 1000])
def test_rms_norm(run: Any, library: Any, dtype: np.dtype[Any], kind: str, width: int) -> None:
    x, w = rows_of(dtype, width), rows_of(dtype, width)[0].copy()
    y = np.zeros_like(x)
    buffers = {0: x, 1: w, 2: y, 3: np.float32(1e-5), 4: np.uint32(width), 5: np.uint32(1)}
    run(f"rms{kind}{dtype.name}", buffers, **launch(width, bool(kind), 4))
    x64 = x.astype(np.float64)
    scaled = x64 / np.sqrt(np.square(x64).mean(axis=1, keepdims=True) + np.float32(1e-5))
    expected = scaled * w.astype(np.float64)
    # The kernel rounds the scaled row to the storage type before it multiplies.
    tolerance = 2 * output_rounding(expected, dtype)
    tolerance = tolerance + 2 * _F32 * (np.sqrt(width) + 8) * np.abs(expected)
    assert_within(y, expected, tolerance)


@pytest.mark.parametrize("dtype", FLOATS, ids=type_name)
@pytest.mark.parametrize("kind", ["", "_looped"])
@pytest.mark.parametrize("width", [7, 384, 1000])
def test_layer_norm(run: Any, dtype: np.dtype[Any], kind: str, width: int) -> None:
    x = rows_of(dtype, width)
    w, b = rows_of(dtype, width)[0].copy(), rows_of(dtype, width)[1].copy()
    y = np.zeros_like(x)
    buffers = {0: x, 1: w, 2: b, 3: y, 4: np.float32(1e-5), 5: np.uint32(width)}
    buffers |= {6: np.uint32(1), 7: np.uint32(1)}
    run(f"layer_norm{kind}{dtype.name}", buffers, **launch(width, bool(kind), 8))
    x64, w64, b64 = (a.astype(np.float64) for a in (x, w, b))
    centred = x64 - x64.mean(axis=1, keepdims=True)
    variance = np.square(centred).mean(axis=1, keepdims=True) + np.float32(1e-5)
    scaled = centred / np.sqrt(variance) * w64
    expected = scaled + b64
    # Rounded to storage after scaling, after the product with w and after the sum with b; the
    # mean is off by a float32 sum, which counts in units of the row's spread.
    tolerance = 2 * output_rounding(scaled, dtype) + output_rounding(expected, dtype)
    tolerance = tolerance + 2 * _F32 * (np.sqrt(width) + 8) * (np.abs(scaled) + np.abs(w64))
    assert_within(y, expected, tolerance)
