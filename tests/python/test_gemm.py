# SPDX-License-Identifier: MIT
"""hgemm, sgemm and bgemm against float64, over shapes, layouts, batches and epilogues."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from arrangements import WAYS, made, sizes
from hypothesis import given
from hypothesis import strategies as st
from tolerance import SLOPE, Gemm, assert_within, bfloat16

import pymfa

GEMMS = {"hgemm": np.float16, "sgemm": np.float32, "bgemm": bfloat16}
# Batch axes of a and b, and of the output.
BATCHES: list[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]] = [
    ((), (), ()),
    ((), (), ()),
    ((3,), (3,), (3,)),
    ((4,), (), (4,)),
    ((), (2, 2), (2, 2)),
    ((2, 1), (3,), (2, 3)),
    ((1,), (1,), (1,)),
]


@st.composite
def problems(draw: st.DrawFn, largest: int) -> dict[str, Any]:
    return {
        "size": tuple(draw(sizes(largest)) for _ in "mnk"),
        "trans": (draw(st.booleans()), draw(st.booleans())),
        "ways": (draw(st.sampled_from(WAYS)), draw(st.sampled_from(WAYS))),
        "batch": draw(st.sampled_from(BATCHES)),
        "alpha": draw(st.sampled_from([1.0, 1.0, 0.5, -2.25])),
        "beta": draw(st.sampled_from([None, None, 1.0, -0.5, 0.0])),
        "bias": draw(st.sampled_from([None, "row", "column", "batch"])),
        "activation": draw(st.sampled_from(sorted(SLOPE))),
        "out": draw(st.sampled_from(["new", "packed", "padded"])),
    }


def check(name: str, device: pymfa.Device, problem: dict[str, Any]) -> None:
    dtype = GEMMS[name]
    m, n, k = problem["size"]
    batch_a, batch_b, batch = problem["batch"]
    trans_a, trans_b = problem["trans"]
    a = made(1, (*batch_a, m, k), dtype)
    b = made(2, (*batch_b, k, n), dtype)
    shape = (*batch, m, n)
    c = None if problem["beta"] is None else made(3, shape, dtype)
    biases = {"row": (n,), "column": (m, 1), "batch": (*batch, 1, n)}
    bias = made(4, biases[problem["bias"]], dtype) if problem["bias"] else None
    options = {key: problem[key] for key in ("alpha", "activation")}
    reference = Gemm(a, b, c=c, beta=problem["beta"] or 0.0, bias=bias, **options)

    a, b = (
        np.swapaxes(made(i, x.shape, dtype, way), -1, -2) if trans else
        made(i, x.shape, dtype, way)
        for i, x, trans, way in zip((1, 2), (a, b), (trans_a, trans_b), problem["ways"],
                                    strict=True)
    )  # fmt: skip
    out = None if problem["out"] == "new" else made(5, shape, dtype, problem["out"])
    actual = getattr(pymfa, name)(
        a, b, trans_a=trans_a, trans_b=trans_b, c=c, beta=problem["beta"], bias=bias, out=out,
        device=device, **options,
    )  # fmt: skip
    assert out is None or actual is out
    assert actual.dtype == dtype
    assert_within(actual, reference.expected, reference.tolerance, name)


@pytest.mark.parametrize("name", GEMMS)
@given(problem=problems(130))
def test_sweep(fast: pymfa.Device, name: str, problem: dict[str, Any]) -> None:
    check(name, fast, problem)


@pytest.mark.parametrize("name", GEMMS)
@given(problem=problems(17))
def test_sweep_small(device: pymfa.Device, name: str, problem: dict[str, Any]) -> None:
    check(name, device, problem)


@pytest.mark.parametrize("name", GEMMS)
@given(problem=problems(130), few=st.sampled_from([(1, 0), (1, 700), (2, 0), (4, 0), (0, 1)]),
       deep=st.sampled_from([0, 0, 1, 31, 32, 260]))  # fmt: skip
def test_few_rows_or_one_column(
    fast: pymfa.Device, name: str, problem: dict[str, Any], few: tuple[int, int], deep: int
) -> None:
    """These run without tiles."""
    sizes = (few[0], few[1], deep)
    size = tuple(s or drawn for s, drawn in zip(sizes, problem["size"], strict=True))
    check(name, fast, {**problem, "size": size})


@pytest.mark.parametrize("name", GEMMS)
@pytest.mark.parametrize("columns", [1, 127, 128, 129, 511, 513, 1024, 2049, 4095, 4096, 5000])
@pytest.mark.parametrize("beta", [None, -0.5])
def test_one_row_of_many_columns(
    fast: pymfa.Device, name: str, columns: int, beta: float | None
) -> None:
    """The last block of columns overlaps the one before it, and C is added to only once."""
    problem = {
        "size": (1, columns, 21), "trans": (False, False), "ways": ("padded", "padded"),
        "batch": ((), (), ()) if columns > 200 else ((3,), (1,), (3,)), "alpha": 0.5, "beta": beta,
        "bias": "row", "activation": "relu", "out": "padded",
    }  # fmt: skip
    check(name, fast, problem)


@pytest.mark.parametrize("name", GEMMS)
@pytest.mark.parametrize("size", [(256, 192, 320), (513, 129, 77), (1, 1000, 300), (300, 1, 1)])
def test_larger(fast: pymfa.Device, name: str, size: tuple[int, int, int]) -> None:
    m, n, k = size
    a, b = made(1, (m, k), GEMMS[name]), made(2, (k, n), GEMMS[name])
    reference = Gemm(a, b)
    assert_within(getattr(pymfa, name)(a, b, device=fast), reference.expected, reference.tolerance)


@pytest.mark.parametrize("name", GEMMS)
def test_vectors_as_in_matmul(device: pymfa.Device, name: str) -> None:
    a, x, y = (made(i, s, GEMMS[name]) for i, s in enumerate([(4, 5), (5,), (4,)]))
    multiply = getattr(pymfa, name)
    for left, right in [(a, x), (y, a), (x, x)]:
        actual = multiply(left, right, device=device)
        expected = np.matmul(left.astype(np.float64), right.astype(np.float64))
        assert actual.shape == expected.shape
        np.testing.assert_allclose(actual.astype(np.float64), expected, rtol=0.03, atol=0.03)


@pytest.mark.parametrize("shape", [(0, 4, 5), (4, 0, 5)])
def test_empty_result(device: pymfa.Device, shape: tuple[int, int, int]) -> None:
    m, n, k = shape
    out = pymfa.hgemm(np.ones((m, k), np.float16), np.ones((k, n), np.float16), device=device)
    assert out.shape == (m, n)


def test_sum_over_nothing(device: pymfa.Device) -> None:
    """Without a K axis the product is zero, and the epilogue still happens."""
    a, b = np.ones((3, 0), np.float32), np.ones((0, 4), np.float32)
    c, bias = np.full((3, 4), 2, np.float32), np.arange(4, dtype=np.float32)
    np.testing.assert_array_equal(pymfa.sgemm(a, b, device=device), 0)
    np.testing.assert_array_equal(
        pymfa.sgemm(a, b, c=c, beta=3, bias=bias, device=device), 3 * c + bias
    )


def test_in_place_accumulation(device: pymfa.Device) -> None:
    a, b = made(1, (9, 5), np.float32), made(2, (5, 7), np.float32)
    out = made(3, (9, 7), np.float32)
    reference = Gemm(a, b, c=out.copy(), beta=0.5)
    pymfa.sgemm(a, b, beta=0.5, out=out, device=device)
    assert_within(out, reference.expected, reference.tolerance)


def test_old_values_are_not_read_without_beta(device: pymfa.Device) -> None:
    out = np.full((4, 4), np.nan, np.float32)
    pymfa.sgemm(np.eye(4, dtype=np.float32), np.eye(4, dtype=np.float32), out=out, device=device)
    np.testing.assert_array_equal(out, np.eye(4))


def test_one_pipeline_serves_every_size(fast: pymfa.Device) -> None:
    """A new size must not compile anew: its problem is explained as cached."""
    pymfa.hgemm(made(1, (33, 20), np.float16), made(2, (20, 40), np.float16), device=fast)
    explanation = fast.explain(pymfa.GemmDesc(34, 41, 21))
    assert explanation.cached, explanation
