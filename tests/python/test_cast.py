# SPDX-License-Identifier: MIT
"""Casts: every pair of types, rounding to nearest even, special values, layouts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from arrangements import WAYS, made
from tolerance import bfloat16

import pymfa

DTYPES = [np.dtype(np.float16), np.dtype(np.float32), bfloat16]


def every_half() -> Any:
    return np.arange(65536, dtype=np.uint16).view(np.float16)


def same(actual: Any, expected: Any) -> None:
    """Equal, signs of zeros included; any NaN equals any other."""
    assert actual.dtype == expected.dtype
    with np.errstate(invalid="ignore"):
        actual, expected = actual.astype(np.float64), expected.astype(np.float64)
    np.testing.assert_array_equal(actual, expected)
    np.testing.assert_array_equal(
        np.signbit(actual[actual == 0]), np.signbit(expected[actual == 0])
    )


@pytest.mark.parametrize("target", DTYPES, ids=lambda d: d.name)
def test_every_half(fast: pymfa.Device, target: Any) -> None:
    with np.errstate(invalid="ignore", over="ignore"):
        expected = every_half().astype(target)
    same(pymfa.cast(every_half(), target, device=fast), expected)


@pytest.mark.parametrize("target", DTYPES, ids=lambda d: d.name)
def test_rounding_of_floats(device: pymfa.Device, target: Any) -> None:
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, 3000, dtype=np.uint32)
    halfway = np.float32([1 + 2**-11, 1 + 3 * 2**-11, 65519, 65520, 2**-25, 3 * 2**-25, 1 + 2**-8,
                          1 + 3 * 2**-8, np.inf, -np.inf, np.nan, -0.0, 3.4e38])  # fmt: skip
    x = np.concatenate([bits.view(np.float32), halfway])
    x[np.abs(x) < 2.0**-126] = 0  # Metal may take float denormals for zeros
    with np.errstate(invalid="ignore", over="ignore"):
        expected = x.astype(target)
    same(pymfa.cast(x, target, device=device), expected)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shape", [(7,), (3, 5), (2, 3, 4, 5), (1, 1), (4, 1), ()])
def test_layouts(device: pymfa.Device, way: str, shape: tuple[int, ...]) -> None:
    x = made(1, shape, np.float32, way if len(shape) > 1 else "packed")
    same(pymfa.cast(x, np.float16, device=device), x.astype(np.float16))


def test_into_a_part_of_an_array(device: pymfa.Device) -> None:
    x = made(1, (4, 6), np.float32)
    out = np.zeros((4, 20), np.float16)
    assert pymfa.cast(x, out=out[:, 3:9], device=device).base is out
    same(out[:, 3:9].copy(), x.astype(np.float16))
    assert (out[:, :3] == 0).all() and (out[:, 9:] == 0).all()


def test_repeated_rows(device: pymfa.Device) -> None:
    x = np.broadcast_to(made(1, (5,), np.float16), (3, 5))
    same(pymfa.cast(x, np.float32, device=device), x.astype(np.float32))


def test_nothing(device: pymfa.Device) -> None:
    assert pymfa.cast(np.zeros((3, 0), np.float16), np.float32, device=device).shape == (3, 0)
