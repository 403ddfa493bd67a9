# SPDX-License-Identifier: MIT
"""Apple-compiled scans, sorts and searches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from apple_kernels import bfloat16, type_name
from tolerance import assert_within, output_rounding

DTYPES = [np.dtype(t) for t in ("uint8", "int32", "int64", "float16", "float32")] + [bfloat16]
SCANS: dict[str, Any] = {
    "sum": np.add, "prod": np.multiply, "min": np.minimum, "max": np.maximum,
    "logaddexp": np.logaddexp,
}  # fmt: skip
_ROUND = {"float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}


def scanned(op: str, x: Any, reverse: bool, inclusive: bool) -> Any:
    """Along the first axis."""
    x = x[::-1] if reverse else x
    with np.errstate(over="ignore"):
        y = SCANS[op].accumulate(x, axis=0, dtype=x.dtype)
    if not inclusive:
        exact = x.dtype.kind in "iu"
        first = {"sum": 0, "prod": 1, "logaddexp": -np.inf}.get(op)
        if op in ("min", "max"):
            limit = np.iinfo(x.dtype) if exact else None
            first = (limit.max if op == "min" else limit.min) if limit else (
                np.inf if op == "min" else -np.inf)  # fmt: skip
        y = np.concatenate([np.full_like(y[:1], first), y[:-1]])
    return y[::-1] if reverse else y


@pytest.mark.parametrize("op", SCANS)
@pytest.mark.parametrize("dtype", DTYPES, ids=type_name)
@pytest.mark.parametrize("contiguous", [True, False], ids=["contig", "strided"])
@pytest.mark.parametrize(
    ("reverse", "inclusive"), [(False, True), (True, False)], ids=["inclusive", "reverse_exclusive"]
)
def test_scan(
    run: Any, library: Any, op: str, dtype: np.dtype[Any], contiguous: bool, reverse: bool,
    inclusive: bool,
) -> None:  # fmt: skip
    kind = f"{'contig' if contiguous else 'strided'}_scan_{'reverse_' if reverse else ''}"
    kind += f"{'inclusive' if inclusive else 'exclusive'}_{op}_"
    found = [n for n in library.functions if n.startswith(kind + type_name(dtype) + "_")]
    if op == "logaddexp" and dtype.kind in "iu":
        assert not found
        return
    assert len(found) == 1, found
    rng = np.random.default_rng(5)
    size, lines = (300, 3) if contiguous else (70, 40)
    shape = (lines, size) if contiguous else (size, lines)
    if dtype.kind in "iu":
        x = rng.integers(1, 3 if op == "prod" else 5, shape).astype(dtype)
    else:
        centre, spread = (1.0, 0.02) if op == "prod" else (0.0, 1.0)
        x = (centre + spread * rng.standard_normal(shape)).astype(dtype)
    out = np.dtype(found[0].rsplit("_", 1)[1]) if dtype != bfloat16 else bfloat16
    y = np.zeros(shape, out)
    buffers: dict[int, Any] = {0: x, 1: y, 2: np.uint64(size)}
    reads = 4 if dtype.itemsize <= 4 else 2
    if contiguous:
        group = 32 * -(-size // (32 * reads))
        launch = {"threads": (group, lines), "group": (group,)}
    else:
        blocks = -(-lines // 32)
        buffers |= {3: np.uint64(lines), 4: np.uint64(blocks)}
        group = 32 * (32 // reads)
        launch = {"threads": (group, blocks), "group": (group,)}
    along = x.T if contiguous else x
    exact = dtype.kind in "iu" or op in ("min", "max")
    expected = scanned(op, along.astype(out if exact else np.float64), reverse, inclusive)
    expected = expected.T if contiguous else expected

    def check() -> None:
        if exact:
            np.testing.assert_array_equal(y, expected)
            return
        sizes = {"sum": np.abs(along.astype(np.float64)).sum(axis=0).max()}
        finite = np.where(np.isfinite(expected), expected, 0)
        scale = sizes.get(op, np.abs(finite) + (8 if op == "logaddexp" else 0))
        tolerance = 2 * np.sqrt(size) * _ROUND[dtype.name] * scale
        assert_within(y, expected, tolerance + output_rounding(finite, dtype), found[0])

    run(found[0], buffers, **launch, check=check)


def shuffled(dtype: np.dtype[Any], shape: tuple[int, ...]) -> Any:
    """With repetitions, and for floats a NaN, which sorts last."""
    x = np.random.default_rng(6).integers(0, 100, shape).astype(dtype)
    if dtype.kind not in "iu":
        x.flat[3] = np.nan
    return x


def in_order(y: Any, x: Any) -> tuple[Any, Any]:
    """The result, and what it must be. NumPy does not know where a NaN of bfloat16 belongs."""
    wide = np.dtype(np.float32) if x.dtype == bfloat16 else x.dtype
    return y.astype(wide), np.sort(x.astype(wide), axis=1)


def tile(library: Any, prefix: str, width: int) -> tuple[str, int, int]:
    """The kernel of the smallest block that holds the width, its threads and their elements."""
    found = sorted((int(n.split("_bn")[1].split("_tn")[0]), n) for n in library.functions
                   if n.startswith(prefix + "_bn"))  # fmt: skip
    assert found, prefix
    for threads, name in found:
        each = int(name.rsplit("_tn", 1)[1])
        if threads * each >= width:
            return name, threads, each
    return found[-1][1], found[-1][0], int(found[-1][1].rsplit("_tn", 1)[1])


@pytest.mark.parametrize("argsort", [False, True], ids=["sort", "argsort"])
@pytest.mark.parametrize("contiguous", [True, False], ids=["c", "nc"])
@pytest.mark.parametrize("dtype", DTYPES, ids=type_name)
@pytest.mark.parametrize("width", [5, 100, 300])
def test_block_sort(
    run: Any, library: Any, dtype: np.dtype[Any], argsort: bool, contiguous: bool, width: int
) -> None:
    x = shuffled(dtype, (3, width))
    y = np.zeros(x.shape, np.uint32 if argsort else dtype)
    prefix = f"{'c' if contiguous else 'nc'}{'arg' if argsort else ''}_block_sort_"
    name, threads, _ = tile(library, prefix + type_name(dtype) + "_" + type_name(y.dtype), width)
    buffers: dict[int, Any] = {0: x, 1: y, 2: np.int32(width), 3: np.int32(1), 4: np.int32(1)}
    if contiguous:
        buffers |= {5: np.int32(width), 6: np.int32(width)}
    else:
        strides = np.array([width], np.int64)
        buffers |= {5: np.int32(1), 6: np.array([3], np.int32), 7: strides, 8: strides}
    run(name, buffers, groups=(1, 3), group=(threads,))
    if argsort:
        np.testing.assert_array_equal(y, np.argsort(x.astype(np.float64), axis=1, kind="stable"))
    else:
        np.testing.assert_array_equal(*in_order(y, x))


@pytest.mark.parametrize("dtype", DTYPES, ids=type_name)
def test_multi_block_sort(run: Any, library: Any, dtype: np.dtype[Any]) -> None:
    """Blocks are sorted, then merged pairwise: partition finds where each merge begins."""
    rows, width = 2, 4500
    x = shuffled(dtype, (rows, width))
    suffix = f"_mbsort_{type_name(dtype)}_uint32"
    _, threads, each = tile(library, "sort" + suffix, width)
    ending = f"{suffix}_bn{threads}_tn{each}"
    blocks = -(-width // (threads * each))
    assert blocks > 2
    values = [np.zeros_like(x), np.zeros_like(x)]
    indices = [np.zeros(x.shape, np.uint32), np.zeros(x.shape, np.uint32)]
    partitions = np.zeros((rows, blocks + 1), np.uint32)
    n, count = np.int32(width), np.int32(blocks)
    buffers = {0: x, 1: values[0], 2: indices[0], 3: n, 4: np.int32(1), 5: np.int32(1),
               6: np.array([rows], np.int32), 7: np.array([width], np.int64)}  # fmt: skip
    run("sort" + ending, buffers, groups=(blocks, rows), group=(threads,))
    tiles, here = 2, 0
    while tiles // 2 < blocks:
        merged = np.int32(tiles)
        buffers = {0: partitions, 1: values[here], 2: indices[here], 3: n, 4: merged, 5: count}
        run("partition" + ending, buffers, groups=(1, rows), group=(blocks + 1,))
        buffers = {0: partitions, 1: values[here], 2: indices[here], 3: values[1 - here],
                   4: indices[1 - here], 5: n, 6: merged, 7: count}  # fmt: skip
        run("merge" + ending, buffers, groups=(blocks, rows), group=(threads,))
        tiles, here = tiles * 2, 1 - here
    np.testing.assert_array_equal(*in_order(values[here], x))
    expected = np.argsort(x.astype(np.float64), axis=1, kind="stable")
    np.testing.assert_array_equal(indices[here], expected)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("dtype", DTYPES, ids=type_name)
def test_searchsorted(run: Any, dtype: np.dtype[Any], side: str) -> None:
    rng = np.random.default_rng(8)
    a = np.sort(rng.integers(0, 60, 77)).astype(dtype)
    v = rng.integers(0, 70, 50).astype(dtype)
    y = np.zeros(50, np.uint32)
    run(f"searchsorted_{type_name(dtype)}_{side}",
        {0: a, 1: v, 2: y, 3: np.uint32(77), 4: np.int64(1)},
        threads=(50,), group=(50,))  # fmt: skip
    exact = [x.astype(np.float64) for x in (a, v)]
    np.testing.assert_array_equal(y, np.searchsorted(*exact, side))
