# SPDX-License-Identifier: MIT
"""A shape and a type -> a case of attention beside NumPy and PyTorch, or beside its own causal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import pymfa
from pymfa.bench.gemm import NUMPY, torch_name
from pymfa.bench.operands import distance, float16, float32, optional_torch, random, torch_tensor
from pymfa.bench.rounds import OURS, Call, Case

Shape = tuple[int, int, int, int]  # batches, heads, rows, width

REQUIRED: tuple[Shape, ...] = (
    (1, 8, 1024, 64),
    (1, 8, 4096, 64),
    (1, 8, 2048, 128),
    (1, 8, 4096, 40),
)
CAUSAL: Shape = (1, 8, 4096, 64)
EXACT_ROWS = 64  # of the last head, compared with float64


def softmax_attention(q: Any, k: Any, v: Any) -> Any:
    scores = q @ np.swapaxes(k, -1, -2)
    scores *= q.shape[-1] ** -0.5
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    return scores @ v


def operands(shape: Shape, dtype: Any) -> list[Any]:
    return [random(shape, dtype, seed) for seed in (1, 2, 3, 4)]


def label(shape: Shape, dtype: Any) -> str:
    return "×".join(str(n) for n in shape) + f" {np.dtype(dtype).name}"


def forward(shape: Shape, dtype: Any, peers: tuple[str, ...] = ()) -> Case:
    """`peers` names the contenders beside us; without any: NumPy, and PyTorch if it is there."""
    q, k, v, out = operands(shape, dtype)
    contenders: dict[str, Call] = {OURS: lambda: pymfa.attention(q, k, v, out=out)}
    if not peers or NUMPY in peers:
        wide = [x.astype(np.float32) for x in (q, k, v)]
        contenders[NUMPY] = lambda: softmax_attention(*wide)
    torch = optional_torch() if not peers or torch_name(dtype) in peers else None
    if torch is not None:
        tensors = [torch_tensor(torch, x) for x in (q, k, v)]
        sdpa = torch.nn.functional.scaled_dot_product_attention
        contenders[torch_name(dtype)] = lambda: sdpa(*tensors)

    def error() -> float:
        part, *whole = (x[-1, -1].astype(np.float64) for x in (q, k, v))
        exact = softmax_attention(part[-EXACT_ROWS:], *whole)
        return distance(out[-1, -1, -EXACT_ROWS:], exact)

    batches, heads, rows, width = shape
    return Case(
        op="attention",
        label=label(shape, dtype),
        size=rows,
        contenders=contenders,
        against=next((peer for peer in contenders if peer != OURS), ""),
        kind=f"{np.dtype(dtype).name} D={width}",
        work=4.0 * batches * heads * rows * rows * width,
        error=error,
    )


def few_queries(dtype: Any, kv_heads: int, queries: int) -> Case:
    """As a language model of 32 heads that goes on after 2048 words."""
    heads, keys, width = 32, 2048, 128
    q = random((1, heads, queries, width), dtype, 1)
    k, v = (random((1, kv_heads, keys, width), dtype, seed) for seed in (2, 3))
    out = np.empty_like(q)
    contenders: dict[str, Call] = {OURS: lambda: pymfa.attention(q, k, v, out=out)}
    torch = optional_torch()
    if torch is not None:
        tensors = [torch_tensor(torch, x) for x in (q, k, v)]
        sdpa = torch.nn.functional.scaled_dot_product_attention
        grouped = kv_heads != heads
        contenders[torch_name(dtype)] = lambda: sdpa(*tensors, enable_gqa=grouped)

    def error() -> float:
        part, *whole = (x[-1, -1].astype(np.float64) for x in (q, k, v))
        return distance(out[-1, -1], softmax_attention(part, *whole))

    return Case(
        op="queries",
        label=f"{queries} to {keys} keys, {heads} heads on {kv_heads}, {np.dtype(dtype).name}",
        size=queries,
        contenders=contenders,
        against=next((peer for peer in contenders if peer != OURS), ""),
        work=4.0 * heads * queries * keys * width,
        error=error,
    )


def required(dtype: Any) -> Iterator[Case]:
    for shape in REQUIRED:
        yield forward(shape, dtype, (torch_name(dtype),))


def causal() -> Iterator[Case]:
    """Ours with a causal mask against ours without."""
    yield from (_causal(dtype) for dtype in (float32, float16))


def _causal(dtype: Any) -> Case:
    q, k, v, out = operands(CAUSAL, dtype)
    return Case(
        op="causal",
        label=label(CAUSAL, dtype),
        size=CAUSAL[2],
        contenders={
            OURS: lambda: pymfa.attention(q, k, v, causal=True, out=out),
            "without a mask": lambda: pymfa.attention(q, k, v, out=out),
        },
        against="without a mask",
        unit="ms",
    )
