# SPDX-License-Identifier: MIT
"""Rows and a format -> a case that multiplies by quantized weights beside dense ones and MLX."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import pymfa
from pymfa.bench.operands import distance, float16, float32, random
from pymfa.bench.rounds import OURS, Call, Case

N = K = 4096  # a projection of a language model of 7 billion weights
SGEMM, HGEMM, MLX = "pymfa sgemm", "pymfa hgemm", "mlx quantized_matmul"


def product(
    rows: int, bits: int = 4, *, palette: bool = False, trans_b: bool = True, against: str = ""
) -> Case:
    """FP16 throughout, but for sgemm. `against` names the only contender beside us; without it
    there are all of them, and ratios are to sgemm for few rows, else to hgemm.
    """
    a, out = random((rows, K), float16, 1), random((rows, N), float16, 2)
    w = random((N, K) if trans_b else (K, N), float16, 3)
    b = pymfa.palettize(w, bits=bits) if palette else pymfa.quantize(w, bits=bits)
    wide_a, wide_w, wide_out = a.astype(float32), w.astype(float32), np.empty((rows, N), float32)
    dense_out = random((rows, N), float16, 4)
    contenders: dict[str, Call] = {
        OURS: lambda: pymfa.qgemm(a, b, trans_b=trans_b, out=out),
        SGEMM: lambda: pymfa.sgemm(wide_a, wide_w, trans_b=trans_b, out=wide_out),
        HGEMM: lambda: pymfa.hgemm(a, w, trans_b=trans_b, out=dense_out),
    }
    if isinstance(b, pymfa.Quantized) and (theirs := _mlx(a, b, trans_b)) is not None:
        contenders[MLX] = theirs

    if against:
        contenders = {OURS: contenders[OURS], against: contenders[against]}

    def error() -> float:
        dense = pymfa.dequantize(b, float32).astype(np.float64)
        return distance(out, wide_a.astype(np.float64) @ (dense.T if trans_b else dense))

    form = f"{bits} bits, {'palette' if palette else 'groups of 64'}"
    return Case(
        op="qgemm",
        label=f"{rows}×{N}×{K} {'nt' if trans_b else 'nn'}, {form}",
        size=rows,
        contenders=contenders,
        against=against or (SGEMM if rows < 64 else HGEMM),
        kind=form,
        work=2.0 * rows * N * K,
        error=error,
    )


def _mlx(a: Any, b: pymfa.Quantized, trans_b: bool) -> Call | None:
    try:
        import mlx.core as mx
    except ImportError:
        return None
    x, packed, scales, biases = (mx.array(part) for part in (a, b.packed, b.scales, b.biases))

    def multiply() -> None:
        mx.eval(
            mx.quantized_matmul(
                x, packed, scales, biases, transpose=trans_b, group_size=b.group_size, bits=b.bits
            )
        )

    return multiply


def required(rows: int, against: str) -> Iterator[Case]:
    """The sizes and formats that docs/performance.md holds us to."""
    yield product(rows, against=against)
    yield product(rows, trans_b=False, against=against)
