# SPDX-License-Identifier: MIT
"""Philox 4x32-10 after its paper, and which weights attention keeps by it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_LOW = np.uint64(0xFFFFFFFF)
_BITS = np.uint64(32)


def philox(counter: list[Any], key: list[Any]) -> list[NDArray[np.uint64]]:
    """Four words of 32 bits from four of the counter and two of the key; arrays broadcast."""
    a, b, c, d = (np.asarray(x, np.uint64) for x in counter)
    k0, k1 = (np.asarray(x, np.uint64) for x in key)
    for _ in range(10):
        first, second = np.uint64(0xD2511F53) * a, np.uint64(0xCD9E8D57) * c
        a, b, c, d = (
            (second >> _BITS) ^ b ^ k0,
            second & _LOW,
            (first >> _BITS) ^ d ^ k1,
            first & _LOW,
        )
        k0 = (k0 + np.uint64(0x9E3779B9)) & _LOW
        k1 = (k1 + np.uint64(0xBB67AE85)) & _LOW
    return [a, b, c, d]


def kept(shape: tuple[int, int, int, int], dropout: float, seed: int, offset: int) -> Any:
    """True where attention keeps the weight of (batch, head, row, column)."""
    low = (1 << 32) - 1
    key = philox([offset & low, offset >> 32, 0, 0], [seed & low, seed >> 32])[:2]
    b, h, r, c = np.ix_(*(np.arange(n, dtype=np.uint64) for n in shape))
    words = philox([c // np.uint64(4), r, h, b], key)
    column = np.broadcast_to(c % np.uint64(4), shape)
    word = np.select([column == i for i in range(4)], [np.broadcast_to(w, shape) for w in words])
    return word >= round(float(np.float32(dropout)) * 2**32)
