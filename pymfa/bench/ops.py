# SPDX-License-Identifier: MIT
"""Names on the command line -> the cases that measure them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count

import numpy as np

import pymfa
from pymfa.bench import attention, calls, convolution, decoding, gemm, qgemm, small, training
from pymfa.bench.operands import float16, float32
from pymfa.bench.rounds import OURS, Case


def square(name: str, n: int) -> Case:
    return gemm.product(name, (n, n, n))


def few_rows(name: str, trans: str, m: int) -> Case:
    """As a layer of a language model that reads a few words: every weight is used m times."""
    return gemm.product(name, (m, 4096, 4096), trans)


def heads(dtype: np.dtype[np.generic], n: int) -> Case:
    return attention.forward((1, 8, n, 64), dtype)


def gradients(dtype: np.dtype[np.generic], n: int) -> Case:
    """The widths that pymfa.bench.training requires, by length."""
    width = 128 if n >= 2048 else 64
    return training.both_directions((1, 8, n, width), dtype)


def pipeline(functions: int) -> Case:
    """Time to make pipelines nobody made before: a new constant each time defeats every cache."""
    library = pymfa.device().library(source=small.NOTHING)
    fresh = count(int(np.random.default_rng().integers(1 << 20, 1 << 30)))

    def make() -> None:
        for _ in range(functions):
            library.pipeline("nothing", constants={0: np.uint32(next(fresh))})

    return Case(
        op="pipeline",
        label="a small kernel",
        size=functions,
        contenders={OURS: make},
        divisor=functions,
        unit="ms",
    )


@dataclass(frozen=True)
class Op:
    sizes: tuple[int, ...]  # unless the command line names others
    cases: tuple[Callable[[int], Case], ...]  # each makes the case of one size


GEMM_SIZES = (256, 512, 1024, 2048)

OPS = {
    "sgemm": Op(GEMM_SIZES, (partial(square, "sgemm"),)),
    "hgemm": Op(GEMM_SIZES, (partial(square, "hgemm"),)),
    "bgemm": Op(GEMM_SIZES, (partial(square, "bgemm"),)),
    "rows": Op(
        (1, 4),
        tuple(partial(few_rows, name, trans) for name in gemm.DTYPES for trans in ("nn", "nt")),
    ),
    "qgemm": Op(
        (1, 8, 512),
        (
            qgemm.product,
            partial(qgemm.product, trans_b=False),
            partial(qgemm.product, bits=6, palette=True),
        ),
    ),
    "attention": Op((128, 512, 1024, 2048), (partial(heads, float16), partial(heads, float32))),
    "queries": Op(
        (1, 4),
        tuple(
            partial(attention.few_queries, dtype, kv_heads)
            for dtype in (float32, float16)
            for kv_heads in (32, 8)
        ),
    ),
    "training": Op((1024, 2048), (partial(gradients, float16), partial(gradients, float32))),
    "decode": Op(
        (decoding.KEYS,),
        (
            partial(decoding.plain, float32, 1),
            partial(decoding.plain, float32, 4),
            partial(decoding.plain, float16, 1),
            partial(decoding.quantized, 8),
            partial(decoding.quantized, 4),
        ),
    ),
    "convolution": Op(
        tuple(convolution.SHAPES),
        (partial(convolution.window_3x3, float32), partial(convolution.window_3x3, float16)),
    ),
    "groups": Op(
        (1, 2, 4, 8, 16),
        (partial(convolution.grouped, float32), partial(convolution.grouped, float16)),
    ),
    "calls": Op((16,), (calls.product, calls.attention, calls.convolution)),
    "dispatch": Op((1, 8, 64), (small.batch,)),
    "pipeline": Op((1,), (pipeline,)),
}
