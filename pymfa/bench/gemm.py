# SPDX-License-Identifier: MIT
"""Sizes, transposes and a type -> a case that multiplies matrices beside NumPy and PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import pymfa
from pymfa.bench.operands import (
    bfloat16,
    distance,
    float16,
    float32,
    optional_torch,
    random,
    torch_tensor,
)
from pymfa.bench.rounds import OURS, Call, Case

DTYPES = {"sgemm": float32, "hgemm": float16, "bgemm": bfloat16}
NUMPY = "numpy float32"
SQUARES = tuple((n, n, n) for n in (256, 512, 1024, 2048))
RECTANGLES = ((4096, 384, 384), (128, 1536, 384))
TRANSPOSES = ("nn", "nt", "tn", "tt")


def torch_name(dtype: Any) -> str:
    return f"torch {np.dtype(dtype).name}"


def product(
    name: str, shape: tuple[int, int, int], trans: str = "nn", peers: tuple[str, ...] = ()
) -> Case:
    """`peers` names the contenders beside us; without any: NumPy, and PyTorch if it is there."""
    dtype = DTYPES[name]
    m, n, k = shape
    trans_a, trans_b = (letter == "t" for letter in trans)
    a = random((k, m) if trans_a else (m, k), dtype, 1)
    b = random((n, k) if trans_b else (k, n), dtype, 2)
    out = random((m, n), dtype, 3)
    multiply = getattr(pymfa, name)
    contenders: dict[str, Call] = {
        OURS: lambda: multiply(a, b, trans_a=trans_a, trans_b=trans_b, out=out)
    }

    def oriented(x: Any, transposed: bool) -> Any:
        return x.T if transposed else x

    wide_a, wide_b = (oriented(x.astype(np.float32), t) for x, t in ((a, trans_a), (b, trans_b)))
    if not peers or NUMPY in peers:
        wide_out = np.empty((m, n), np.float32)
        contenders[NUMPY] = lambda: np.matmul(wide_a, wide_b, out=wide_out)
    torch = optional_torch() if not peers or torch_name(dtype) in peers else None
    if torch is not None:
        ta, tb = (
            oriented(torch_tensor(torch, a), trans_a),
            oriented(torch_tensor(torch, b), trans_b),
        )
        tout = torch.empty((m, n), dtype=ta.dtype)
        contenders[torch_name(dtype)] = lambda: torch.mm(ta, tb, out=tout)
    square = m == n == k
    return Case(
        op=name,
        label=f"{m}³ {trans}" if square else f"{m}×{n}×{k} {trans}",
        size=(m * n * k) ** (1 / 3),
        contenders=contenders,
        against=next((peer for peer in contenders if peer != OURS), ""),
        kind=trans,
        work=2.0 * m * n * k,
        error=lambda: distance(out, wide_a.astype(np.float64) @ wide_b),
    )


def required(name: str, peer: str) -> Iterator[Case]:
    """The sizes that docs/performance.md holds us to: squares and two shapes of a transformer."""
    for shape in SQUARES + RECTANGLES:
        for trans in TRANSPOSES:
            yield product(name, shape, trans, (peer,))
