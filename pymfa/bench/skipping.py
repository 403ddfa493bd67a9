# SPDX-License-Identifier: MIT
"""Attention that skips blocks of scores, beside attention that computes them all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import pymfa
from pymfa.bench.attention import Shape, label, operands
from pymfa.bench.operands import float16, float32
from pymfa.bench.rounds import OURS, Case

SPARSE: Shape = (1, 8, 2048, 64)
BLOCK = 128  # edge of the mask's blocks, half of which are empty
WINDOWED: Shape = (1, 2, 8192, 64)
WINDOW = 256
DENSE = "every block"


def sparse() -> Iterator[Case]:
    """A boolean mask of blocks, every second one empty, against no mask."""
    blocks = SPARSE[2] // BLOCK
    kept = np.indices((blocks, blocks)).sum(axis=0) % 2 == 0
    mask = np.kron(kept, np.ones((BLOCK, BLOCK), bool))
    yield from (_case("sparse", SPARSE, dtype, {"mask": mask}) for dtype in (float32, float16))


def window() -> Iterator[Case]:
    """Only WINDOW keys before each query, against all keys."""
    options = {"window": (WINDOW, 0)}
    yield from (_case("window", WINDOWED, dtype, options) for dtype in (float32, float16))


def _case(op: str, shape: Shape, dtype: Any, options: dict[str, Any]) -> Case:
    q, k, v, out = operands(shape, dtype)
    return Case(
        op=op,
        label=label(shape, dtype),
        size=shape[2],
        contenders={
            OURS: lambda: pymfa.attention(q, k, v, out=out, **options),
            DENSE: lambda: pymfa.attention(q, k, v, out=out),
        },
        against=DENSE,
        unit="ms",
    )
