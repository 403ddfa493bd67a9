# SPDX-License-Identifier: MIT
"""Names -> sweeps: speed against size, sequence length and head dimension, edges included."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from pymfa.bench import attention, gemm
from pymfa.bench.operands import float16, float32
from pymfa.bench.rounds import Case


def squares(name: str, low: int, high: int, step: int) -> Iterator[Case]:
    peers = (gemm.NUMPY,) if name != "bgemm" else (gemm.torch_name(gemm.DTYPES[name]),)
    for n in range(low, high + 1, step):
        case = gemm.product(name, (n, n, n), "nn", peers)
        case.op, case.size, case.kind = f"{name} size", n, f"{low} to {high} by {step}"
        yield case


def lengths(dtype: object) -> Iterator[Case]:
    for rows in (32, 64, 128, 256, 384, 512, 768, 1000, 1024, 1536, 2048, 3072, 4096):
        case = attention.forward((1, 8, rows, 64), dtype, (gemm.torch_name(dtype),))
        case.op = "attention length"
        yield case


def widths(dtype: object) -> Iterator[Case]:
    for width in range(8, 257, 8):
        case = attention.forward((1, 8, 1024, width), dtype, (gemm.torch_name(dtype),))
        case.op, case.size, case.kind = "attention width", width, f"{dtype} N=1024"
        yield case


SWEEPS: dict[str, Callable[[], Iterator[Case]]] = {
    **{f"{name}-even": partial(squares, name, 2, 256, 2) for name in gemm.DTYPES},
    **{f"{name}-size": partial(squares, name, 128, 2048, 128) for name in gemm.DTYPES},
    **{f"attention-length-{dtype}": partial(lengths, dtype) for dtype in (float32, float16)},
    **{f"attention-width-{dtype}": partial(widths, dtype) for dtype in (float32, float16)},
}
