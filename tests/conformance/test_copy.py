# SPDX-License-Identifier: MIT
"""Apple-compiled copies between all types: contiguous, broadcast, strided."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from apple_kernels import bfloat16, per_thread, type_name

DTYPES = [np.dtype(t) for t in ("bool", "uint8", "int16", "int32", "int64", "float16", "float32")]
DTYPES.append(bfloat16)


def values(dtype: np.dtype[Any], count: int) -> Any:
    base = (np.arange(count) * 7 % 23).astype(np.float32)
    if dtype.kind == "f" or dtype == bfloat16:
        base = base / 4
    return base.astype(dtype)


@pytest.mark.parametrize("target", DTYPES, ids=type_name)
@pytest.mark.parametrize("source", DTYPES, ids=type_name)
def test_contiguous(run: Any, source: np.dtype[Any], target: np.dtype[Any]) -> None:
    x, n = values(source, 77), per_thread(target)
    y = np.zeros(77, target)
    name = "copy" + type_name(source) + type_name(target)
    prefix, count = ("vn_", n) if target.itemsize < 8 else ("v_", 1)
    run(prefix + name, {0: x, 1: y, 2: np.uint32(77)}, threads=(-(-77 // count),), group=(32,))
    np.testing.assert_array_equal(y, x.astype(target))


def test_broadcast(run: Any) -> None:
    y = np.zeros(50, np.float16)
    run("sn_copyfloat32float16", {0: np.float32([2.5]), 1: y, 2: np.uint32(50)}, threads=(13,),
        group=(32,))  # fmt: skip
    assert (y == 2.5).all()


@pytest.mark.parametrize("shape", [(5, 7), (3, 4, 5), (2, 3, 4, 5)])
def test_transposed(run: Any, shape: tuple[int, ...]) -> None:
    """copy_g reads any strides: here the axes come in reverse order."""
    x = values(np.dtype(np.float32), int(np.prod(shape))).reshape(shape[::-1])
    view, y = x.T, np.zeros(shape, np.float16)
    strides = np.array([s // 4 for s in view.strides], np.int64)
    sizes = np.array(shape, np.int32)
    threads = (-(-shape[-1] // 2), shape[-2], int(np.prod(shape[:-2])))
    buffers = {0: x, 1: y, 2: sizes, 3: strides, 5: np.int32(len(shape))}
    run("gn2_copyfloat32float16", buffers, threads=threads, group=(4, 4, 2))
    np.testing.assert_array_equal(y, view.astype(np.float16))


def test_strided_to_strided(run: Any) -> None:
    x = np.arange(60, dtype=np.int32).reshape(6, 10)
    y = np.zeros((10, 6), np.int32)
    buffers = {0: x, 1: y, 3: np.array([10, 1], np.int64), 4: np.array([1, 6], np.int64)}
    run("gg2_copyint32int32", buffers, threads=(10, 6), group=(8, 8))
    np.testing.assert_array_equal(y, x.T)
