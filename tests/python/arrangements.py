# SPDX-License-Identifier: MIT
"""Hypothesis strategies for sizes and for the ways an array can lie in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from tolerance import random

Array = NDArray[Any]

# One, odd, prime, and around every edge of the tiles.
SIZES = [
    1,
    2,
    3,
    5,
    7,
    8,
    9,
    13,
    15,
    16,
    17,
    23,
    24,
    25,
    31,
    32,
    33,
    40,
    41,
    47,
    48,
    49,
    63,
    64,
    65,
]
LARGE = [*SIZES, 79, 95, 96, 97, 127, 128, 129, 130]
WAYS = ["packed", "padded", "columns", "reversed", "every_second"]


def sizes(largest: int = 130) -> st.SearchStrategy[int]:
    return st.sampled_from([n for n in LARGE if n <= largest])


def lay(array: Array, way: str) -> Array:
    """The same values, in memory of another shape. Works on the last two axes."""
    if way == "packed":
        return np.ascontiguousarray(array)
    *lead, rows, columns = array.shape
    if way == "padded":
        room = np.zeros((*lead, rows + 1, columns + 3), array.dtype)[..., :rows, :columns]
    elif way == "columns":
        room = np.swapaxes(np.zeros((*lead, columns, rows + 2), array.dtype), -1, -2)[..., :rows, :]
    elif way == "reversed":
        room = np.zeros(array.shape, array.dtype)[..., ::-1, :]
    else:
        assert way == "every_second"
        room = np.zeros((*lead, rows, columns * 2), array.dtype)[..., ::2]
    room[...] = array
    return room


def made(seed: int, shape: tuple[int, ...], dtype: Any, way: str = "packed") -> Array:
    return lay(random(np.random.default_rng(seed), shape, dtype), way)
