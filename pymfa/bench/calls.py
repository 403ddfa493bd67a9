# SPDX-License-Identifier: MIT
"""Single calls on arrays so small that Python and libmfa are what takes the time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import pymfa
from pymfa.bench.gemm import torch_name
from pymfa.bench.operands import float32, optional_torch, torch_tensor
from pymfa.bench.rounds import OURS, Call, Case

NUMPY = "numpy float32"


def product(n: int) -> Case:
    a, b = _values(n, n), _values(n, n)
    return _case(
        f"sgemm {n}³", n, lambda: pymfa.sgemm(a, b), lambda torch, a, b: torch.matmul(a, b), a, b,
        numpy=lambda: np.matmul(a, b),
    )  # fmt: skip


def attention(n: int) -> Case:
    q, k, v = (_values(1, 2, n, 16) for _ in "qkv")
    return _case(
        f"attention 1×2×{n}×16", n, lambda: pymfa.attention(q, k, v),
        lambda torch, *given: torch.nn.functional.scaled_dot_product_attention(*given), q, k, v,
    )  # fmt: skip


def convolution(n: int) -> Case:
    x, w = _values(1, n, n, 16), _values(16, 3, 3, 16)
    return _case(
        f"convolution 16→16, {n}²", n, lambda: pymfa.convolution(x, w, padding=1),
        lambda torch, *given: torch.nn.functional.conv2d(*given, padding=1),
        np.moveaxis(x, -1, 1), np.moveaxis(w, -1, 1),
    )  # fmt: skip


def _values(*shape: int) -> Any:
    """Memory of NumPy's, as users have it."""
    return np.random.default_rng(len(shape)).standard_normal(shape, np.float32)


def _case(
    label: str, size: int, ours: Call, theirs: Callable[..., Any], *arrays: Any,
    numpy: Call | None = None,
) -> Case:  # fmt: skip
    contenders = {OURS: ours}
    if numpy is not None:
        contenders[NUMPY] = numpy
    if (torch := optional_torch()) is not None:
        tensors = [torch_tensor(torch, x) for x in arrays]
        contenders[torch_name(float32)] = lambda: theirs(torch, *tensors)
    return Case(
        op="calls",
        label=label,
        size=size,
        contenders=contenders,
        against=next((name for name in contenders if name != OURS), ""),
        unit="µs each",
    )
