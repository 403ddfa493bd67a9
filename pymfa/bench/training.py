# SPDX-License-Identifier: MIT
"""A shape -> attention in both directions, beside PyTorch's with its autograd."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import pymfa
from pymfa.bench.alone import Alone
from pymfa.bench.attention import Shape, label
from pymfa.bench.gemm import torch_name
from pymfa.bench.operands import distance, float32, optional_torch, random, torch_tensor
from pymfa.bench.rounds import OURS, Call, Case

REQUIRED: tuple[Shape, ...] = ((1, 8, 1024, 64), (1, 8, 2048, 128))
ALONE = "PyTorch float32 alone"


def softmax_gradients(do: Any, q: Any, k: Any, v: Any) -> tuple[Any, Any, Any]:
    """dq, dk and dv of one head, by the textbook."""
    scale = q.shape[-1] ** -0.5
    s = q @ k.T * scale
    p = np.exp(s - s.max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)
    dp = do @ v.T
    ds = p * (dp - (p * dp).sum(axis=-1, keepdims=True)) * scale
    return ds @ k, ds.T @ q, p.T @ do


def both_directions(shape: Shape, dtype: Any) -> Case:
    q, k, v, do, o, dq, dk, dv = (random(shape, dtype, seed) for seed in range(8))
    lse = random(shape[:3], np.float32, 9)

    def ours() -> None:
        with pymfa.device().commands() as commands:
            commands.attention(q, k, v, out=o, lse=lse)
            commands.attention_backward(do, q, k, v, o, lse, dq=dq, dk=dk, dv=dv)

    contenders: dict[str, Call] = {OURS: ours}
    if (torch := optional_torch()) is not None:
        leaves = [torch_tensor(torch, x).requires_grad_() for x in (q, k, v)]
        gradient = torch_tensor(torch, do)

        def theirs() -> None:
            out = torch.nn.functional.scaled_dot_product_attention(*leaves)
            torch.autograd.grad(out, leaves, gradient)

        contenders[torch_name(dtype)] = theirs

    def error() -> float:
        last = [x[-1, -1].astype(np.float64) for x in (do, q, k, v)]
        exact = softmax_gradients(*last)
        found = [x[-1, -1] for x in (dq, dk, dv)]
        return distance(np.concatenate(found), np.concatenate(exact))

    batches, heads, rows, width = shape
    return Case(
        op="training",
        label=label(shape, dtype),
        size=rows,
        contenders=contenders,
        against=next((peer for peer in contenders if peer != OURS), ""),
        kind=f"{np.dtype(dtype).name} D={width}",
        work=14.0 * batches * heads * rows * rows * width,
        error=error,
    )


def required() -> Iterator[Case]:
    """Beside PyTorch in this process."""
    for shape in REQUIRED:
        yield both_directions(shape, float32)


def beside_alone() -> Iterator[Case]:
    """Beside PyTorch in this process and in one of its own."""
    for shape in REQUIRED:
        case = both_directions(shape, float32)
        if (torch := optional_torch()) is None:
            yield case
            continue
        with Alone(shape, torch.get_num_threads()) as alone:
            case.contenders[ALONE] = alone.seconds
            case.elsewhere = frozenset([ALONE])
            case.against = ALONE
            yield case
