# SPDX-License-Identifier: MIT
"""Apple-compiled reductions: of everything, of rows, of columns, and where the extreme lies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from apple_kernels import bfloat16, type_name
from tolerance import assert_within, output_rounding

_F32 = 2.0**-24
REDUCE: dict[str, Callable[..., Any]] = {
    "sum": np.sum, "prod": np.prod, "min": np.min, "max": np.max, "and": np.all, "or": np.any
}  # fmt: skip
NUMBERS = [np.dtype(t) for t in ("int8", "uint16", "int32", "int64", "float16", "float32")]
NUMBERS.append(bfloat16)
CASES = [(op, dtype) for op in ("sum", "prod", "min", "max") for dtype in NUMBERS]
CASES += [(op, np.dtype(t)) for op in ("and", "or") for t in ("bool", "int16", "int32", "int64")]
case = pytest.mark.parametrize(
    ("op", "dtype"), CASES, ids=lambda x: x if isinstance(x, str) else type_name(x)
)


def values(op: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Any:
    rng = np.random.default_rng(len(shape))
    if op in ("and", "or"):  # rows of all kinds: all true, none true, mixed
        rare = rng.random(shape) < 2 / shape[-1]
        return (rare if op == "or" else ~rare).astype(dtype)
    if dtype.kind in "iu":
        low, high = (1, 3) if op == "prod" else (0 if dtype.kind == "u" else -40, 41)
        return rng.integers(low, high, shape).astype(dtype)
    if op == "prod":  # exact in every order, and what is left out shows
        x = rng.choice([-1.0, 1.0], shape)
        x[..., rng.integers(0, shape[-1], 3)] *= 2
        return x.astype(dtype)
    return rng.standard_normal(shape).astype(dtype)


def result_type(op: str, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What MLX's kernels accumulate integers in."""
    if op in ("and", "or"):
        return np.dtype(bool)
    if op in ("sum", "prod") and dtype.kind in "iu" and dtype.itemsize < 4:
        return np.dtype("u4" if dtype.kind == "u" else "i4")
    return dtype


def checker(op: str, x: Any, axis: Any, y: Any) -> Callable[[], None]:
    """All but float sums exactly; those within the error of a naive sum in the kernel's type."""
    if op != "sum" or y.dtype.kind in "iu":
        wide = y.dtype if y.dtype.kind in "iub" else np.dtype(np.float64)
        with np.errstate(over="ignore"):
            options = {"dtype": wide} if op in ("sum", "prod") else {}
            expected = np.asarray(REDUCE[op](x, axis=axis, **options)).astype(y.dtype)
        return lambda: np.testing.assert_array_equal(y, expected.reshape(y.shape))
    x64 = x.astype(np.float64)
    expected = x64.sum(axis=axis).reshape(y.shape)
    size = np.abs(x64).sum(axis=axis).reshape(y.shape)
    roundoff = {"float32": _F32, "float16": 2.0**-11, "bfloat16": 2.0**-8}[x.dtype.name]
    tolerance = 2 * np.sqrt(x.size // y.size) * roundoff * size
    return lambda: assert_within(y, expected, tolerance + output_rounding(expected, x.dtype), op)


@case
@pytest.mark.parametrize("size", [1, 31, 1000])
def test_all(run: Any, op: str, dtype: np.dtype[Any], size: int) -> None:
    x = values(op, dtype, (size,))
    y = np.zeros(1, result_type(op, dtype))
    threads = 32 * -(-size // 128)
    buffers = {0: x, 1: y, 2: np.uint64(size), 3: np.uint64(size)}
    run(f"all_reduce_{op}{type_name(dtype)}", buffers, threads=(threads,), group=(threads,),
        check=checker(op, x, None, y))  # fmt: skip


@case
@pytest.mark.parametrize("width", [65, 700])
def test_simple_rows(run: Any, op: str, dtype: np.dtype[Any], width: int) -> None:
    rows = 34
    x = values(op, dtype, (rows, width))
    y = np.zeros(rows, result_type(op, dtype))
    group = 32 if width <= 512 else 128
    run(f"row_reduce_simple_{op}{type_name(dtype)}",
        {0: x, 1: y, 2: np.uint64(width), 3: np.int64(rows)},
        threads=(group, -(-rows // 4)), group=(group,), check=checker(op, x, 1, y))  # fmt: skip


def row_arguments(x: Any, y: Any, shape: list[int], strides: list[int]) -> dict[int, Any]:
    """Of the last axis and, if there are four, of the second: `shape` and `strides` of the rest."""
    outer = x.ndim == 4
    return {
        0: x, 1: y, 2: np.uint64(x.shape[-1]), 3: np.uint64(x.shape[1] if outer else 1),
        4: np.array(shape, np.int32), 5: np.array(strides, np.int64), 6: np.int32(len(shape)),
        7: np.array([x.shape[1] if outer else 0], np.int32),
        8: np.array([x.strides[1] // x.itemsize if outer else 0], np.int64),
        9: np.int32(1 if outer else 0),
    }  # fmt: skip


@case
@pytest.mark.parametrize("shape", [(7, 5), (6, 60), (3, 12, 2, 40)])
def test_small_rows(run: Any, op: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    x = values(op, dtype, shape)
    axes = (1, 3) if x.ndim == 4 else (1,)
    kept = [0, 2] if x.ndim == 4 else [0]
    sizes = [x.shape[i] for i in kept]
    y = np.zeros(sizes, result_type(op, dtype))
    buffers = row_arguments(x, y, sizes, [x.strides[i] // x.itemsize for i in kept])
    if x.ndim == 4:  # a simdgroup per row
        launch = {"threads": (32, y.size), "group": (32,)}
    else:
        launch = {"threads": (y.size,), "group": (y.size,)}
    run(f"row_reduce_small_1_reduce_{op}{type_name(dtype)}", buffers, **launch,
        check=checker(op, x, axes, y))  # fmt: skip


@case
@pytest.mark.parametrize("shape", [(3, 300), (2, 3, 2, 130)])
def test_looped_rows(run: Any, op: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    x = values(op, dtype, shape)
    axes = (1, 3) if x.ndim == 4 else (1,)
    kept = [0, 2] if x.ndim == 4 else [0]
    sizes = [x.shape[i] for i in kept]
    y = np.zeros(sizes, result_type(op, dtype))
    buffers = row_arguments(x, y, sizes, [x.strides[i] // x.itemsize for i in kept])
    run(f"row_reduce_looped_1_reduce_{op}{type_name(dtype)}", buffers, threads=(32, y.size),
        group=(32,), check=checker(op, x, axes, y))  # fmt: skip


def column_arguments(x: Any, y: Any, batch: int) -> dict[int, Any]:
    """Of the middle axis of (batch, reduced, columns); the kernel sees it as a reduced shape."""
    count, columns = x.shape[-2:]
    return {
        0: x, 1: y, 2: np.uint64(count), 3: np.int64(columns),
        4: np.array([batch], np.int32), 5: np.array([count * columns], np.int64), 6: np.int32(1),
        7: np.array([count], np.int32), 8: np.array([columns], np.int64), 9: np.int32(1),
        10: np.uint64(1), 11: np.int64(0),
    }  # fmt: skip


@case
def test_small_columns(run: Any, op: str, dtype: np.dtype[Any]) -> None:
    x = values(op, dtype, (3, 20, 37))
    y = np.zeros((3, 37), result_type(op, dtype))
    blocks = -(-37 // 4)
    run(f"col_reduce_small_1_reduce_{op}{type_name(dtype)}", column_arguments(x, y, 3),
        groups=(1, 3), group=(blocks, 8), check=checker(op, x, 1, y))  # fmt: skip


@case
def test_looped_columns(run: Any, op: str, dtype: np.dtype[Any]) -> None:
    x = values(op, dtype, (2, 70, 45))
    y = np.zeros((2, 45), result_type(op, dtype))
    run(f"col_reduce_looped_1_32_32_reduce_{op}{type_name(dtype)}", column_arguments(x, y, 2),
        threads=(256 * 2, 2), group=(256,), check=checker(op, x, 1, y))  # fmt: skip


@case
@pytest.mark.parametrize("kind", ["longcolumn", "2pass"])
def test_columns_in_two_passes(run: Any, op: str, dtype: np.dtype[Any], kind: str) -> None:
    """Every 32nd row of a column makes one of partial results, which the next kernel joins."""
    count, columns = 320, 9 if kind == "longcolumn" else 40
    x = values(op, dtype, (1, count, columns))
    parts = np.zeros((32, columns), result_type(op, dtype))
    buffers = column_arguments(x, parts, 1)
    if kind == "longcolumn":
        name, launch = "col_reduce_longcolumn_1", {"groups": (1, 1, 32), "group": (columns, 10)}
        buffers[11] = np.uint64(columns)
    else:
        name, launch = "col_reduce_2pass_1_32_32", {"threads": (512, 32), "group": (256,)}
        buffers |= {11: np.int64(0), 12: np.uint64(1)}
    y = np.zeros(columns, parts.dtype)
    whole = checker(op, x[0], 0, y)
    joined = {"sum": np.sum, "prod": np.prod}.get(op)

    def check() -> None:
        with np.errstate(over="ignore"):
            y[:] = joined(parts, axis=0, dtype=np.float64 if parts.dtype.kind not in "iu" else
                          parts.dtype) if joined else REDUCE[op](parts, axis=0)  # fmt: skip
        whole()

    run(f"{name}_reduce_{op}{type_name(dtype)}", buffers, **launch, check=check)


@pytest.mark.parametrize("op", ["sum", "prod", "min", "max"])
@pytest.mark.parametrize("dtype", NUMBERS, ids=type_name)
def test_initial_value(run: Any, library: Any, op: str, dtype: np.dtype[Any]) -> None:
    name = f"init_reduce_{op}{type_name(dtype)}"
    if name not in library.functions:
        pytest.skip(f"there is no {name}: sums of this type are kept in a wider one")
    y = np.full(40, 7).astype(dtype)
    run(name, {0: y}, threads=(40,), group=(32,))
    if op in ("sum", "prod"):
        expected: Any = 0 if op == "sum" else 1
    elif dtype.kind in "iu":
        expected = np.iinfo(dtype).max if op == "min" else np.iinfo(dtype).min
    else:
        expected = np.inf if op == "min" else -np.inf
    assert (y == np.array(expected).astype(dtype)).all()


@pytest.mark.parametrize("op", ["argmin", "argmax"])
@pytest.mark.parametrize("dtype", [*NUMBERS, np.dtype(bool)], ids=type_name)
@pytest.mark.parametrize("axis", [0, 1])
def test_where(run: Any, op: str, dtype: np.dtype[Any], axis: int) -> None:
    """The first of equal values."""
    x = np.random.default_rng(3).integers(0, 50, (90, 130)).astype(dtype)
    size, others = x.shape[axis], x.shape[1 - axis]
    y = np.zeros(others, np.uint32)
    strides = [s // x.itemsize for s in x.strides]
    buffers = {
        0: x, 1: y, 2: np.array([others], np.int32), 3: np.array([strides[1 - axis]], np.int64),
        4: np.array([1], np.int64), 5: np.uint64(1), 6: np.int64(strides[axis]), 7: np.uint64(size),
    }  # fmt: skip
    group = 32 * -(-size // 128)
    run(f"{op}_{type_name(dtype)}", buffers, threads=(group, others), group=(group,))
    np.testing.assert_array_equal(y, getattr(x, op)(axis=axis))
