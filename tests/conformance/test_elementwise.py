# SPDX-License-Identifier: MIT
"""Apple-compiled unary and binary functions against NumPy, in three float types and integers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from apple_kernels import FLOATS, per_thread, type_name

# Units in the last place of float32 that the Metal specification allows each function, at most.
_ULPS = 6
# Unit roundoff of the types, and where the smallest numbers begin.
_EPS = {"float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}


def erf(x: Any) -> Any:
    return np.vectorize(math.erf)(x)


UNARY: dict[str, tuple[Callable[[Any], Any], float, float]] = {
    # name: (function, lowest input, highest input)
    "Abs": (np.abs, -9, 9),
    "ArcCos": (np.arccos, -0.99, 0.99),
    "ArcCosh": (np.arccosh, 1.5, 9),
    "ArcSin": (np.arcsin, -0.99, 0.99),
    "ArcSinh": (np.arcsinh, 0.5, 9),
    "ArcTan": (np.arctan, -9, 9),
    "ArcTanh": (np.arctanh, 0.2, 0.95),
    "Ceil": (np.ceil, -9, 9),
    "Cos": (np.cos, -1.5, 1.5),
    "Cosh": (np.cosh, -5, 5),
    "Erf": (erf, -3, 3),
    "Exp": (np.exp, -9, 9),
    "Floor": (np.floor, -9, 9),
    "Log": (np.log, 2, 99),
    "Log10": (np.log10, 2, 99),
    "Log1p": (np.log1p, 0.5, 99),
    "Log2": (np.log2, 3, 99),
    "Negative": (np.negative, -9, 9),
    "Round": (np.rint, -9, 9),
    "Rsqrt": (lambda x: 1 / np.sqrt(x), 0.1, 99),
    "Sigmoid": (lambda x: 1 / (1 + np.exp(-x)), -9, 9),
    "Sign": (np.sign, -9, 9),
    "Sin": (np.sin, -1.5, 1.5),
    "Sinh": (np.sinh, 0.5, 5),
    "Sqrt": (np.sqrt, 0, 99),
    "Square": (np.square, -9, 9),
    "Tan": (np.tan, -1, 1),
    "Tanh": (np.tanh, -4, 4),
}
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "Add": np.add,
    "ArcTan2": np.arctan2,
    "Divide": np.divide,
    "LogAddExp": np.logaddexp,
    "Maximum": np.maximum,
    "Minimum": np.minimum,
    "Multiply": np.multiply,
    "Power": np.power,
    "Subtract": np.subtract,
}
COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "Equal": np.equal,
    "Greater": np.greater,
    "GreaterEqual": np.greater_equal,
    "Less": np.less,
    "LessEqual": np.less_equal,
    "NotEqual": np.not_equal,
}
INTEGER: dict[str, Callable[[Any, Any], Any]] = {
    "Add": np.add,
    "BitwiseAnd": np.bitwise_and,
    "BitwiseOr": np.bitwise_or,
    "BitwiseXor": np.bitwise_xor,
    "Maximum": np.maximum,
    "Multiply": np.multiply,
    "Subtract": np.subtract,
}
COUNT = 203


def spelled(library: Any, *names: str) -> str:
    """The first of the spellings that this version of the package has."""
    for name in names:
        if name in library.functions:
            return name
    raise AssertionError(f"none of {names} is in the library")


def check(actual: Any, expected: Any, dtype: np.dtype[Any]) -> None:
    """`_ULPS` of float32 for the function, and one rounding of the intermediate and the result."""
    tolerance = np.abs(expected) * (_ULPS * 2 * _EPS["float32"] + 2 * _EPS[dtype.name]) + 2.0**-24
    error = np.abs(actual.astype(np.float64) - expected)
    assert (error <= tolerance).all(), f"off by {(error / tolerance).max():.3g} tolerances"


@pytest.mark.parametrize("dtype", FLOATS, ids=type_name)
@pytest.mark.parametrize("name", UNARY)
def test_unary(run: Any, library: Any, name: str, dtype: np.dtype[Any]) -> None:
    function, low, high = UNARY[name]
    x = np.linspace(low, high, COUNT).astype(dtype)
    y = np.zeros(COUNT, dtype)
    kernel = spelled(library, *(f"vn_{n}{dtype.name}{dtype.name}" for n in (name, name + "f")))
    buffers = {0: x, 1: y, 2: np.uint32(COUNT)}
    run(kernel, buffers, threads=(-(-COUNT // per_thread(dtype)),), group=(64,))
    check(y, function(x.astype(np.float64)), dtype)


@pytest.mark.parametrize("dtype", FLOATS, ids=type_name)
@pytest.mark.parametrize("name", BINARY)
def test_binary(run: Any, name: str, dtype: np.dtype[Any]) -> None:
    rng = np.random.default_rng(7)
    a, b = (rng.uniform(0.5, 4, COUNT).astype(np.float32).astype(dtype) for _ in "ab")
    y = np.zeros(COUNT, dtype)
    buffers = {0: a, 1: b, 2: y, 3: np.uint32(COUNT)}
    run(f"vvn_{name}{dtype.name}", buffers, threads=(-(-COUNT // per_thread(dtype)),), group=(64,))
    expected = BINARY[name](a.astype(np.float64), b.astype(np.float64))
    if name == "Power":  # a relative error of the exponent's logarithm grows with the exponent
        expected, y = np.log(expected), np.log(y.astype(np.float64)).astype(np.float64)
        assert np.abs(y - expected).max() < 16 * _EPS[dtype.name]
        return
    check(y, expected, dtype)


@pytest.mark.parametrize("dtype", FLOATS, ids=type_name)
@pytest.mark.parametrize("name", COMPARE)
def test_compare(run: Any, name: str, dtype: np.dtype[Any]) -> None:
    a = np.array([1, 2, 3, np.nan, np.inf, -1] * 9, dtype)
    b = np.array([1, 3, 2, np.nan, 5, -np.inf] * 9, dtype)
    y = np.zeros(54, np.bool_)
    buffers = {0: a, 1: b, 2: y, 3: np.uint32(54)}
    run(f"vv_{name}{dtype.name}", buffers, threads=(54,), group=(32,))
    with np.errstate(invalid="ignore"):
        expected = COMPARE[name](a, b)
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "int64"])
@pytest.mark.parametrize("name", INTEGER)
def test_integer(run: Any, name: str, dtype: str) -> None:
    rng = np.random.default_rng(3)
    low, high = (0, 200) if dtype == "uint8" else (-99, 99)
    a, b = (rng.integers(low, high, COUNT).astype(dtype) for _ in "ab")
    y = np.zeros(COUNT, dtype)
    buffers = {0: a, 1: b, 2: y, 3: np.uint32(COUNT)}
    run(f"vv_{name}{dtype}", buffers, threads=(COUNT,), group=(32,))
    np.testing.assert_array_equal(y, INTEGER[name](a, b))


def test_scalar_operand(run: Any) -> None:
    a, b = np.float32([3]), np.linspace(-2, 2, 99, dtype=np.float32)
    y = np.zeros(99, np.float32)
    run("svn_Subtractfloat32", {0: a, 1: b, 2: y, 3: np.uint32(99)}, threads=(50,), group=(32,))
    np.testing.assert_array_equal(y, a - b)


def test_broadcast_strides(run: Any) -> None:
    """A row and a column, by strides of zero."""
    a, b = np.arange(6, dtype=np.float32), np.arange(5, dtype=np.float32) * 10
    y = np.zeros((5, 6), np.float32)
    buffers = {0: a, 1: b, 2: y, 3: np.array([0, 1], np.int64), 4: np.array([1, 0], np.int64)}
    run("g2_Addfloat32", buffers, threads=(6, 5), group=(4, 4))
    np.testing.assert_array_equal(y, a[None] + b[:, None])
