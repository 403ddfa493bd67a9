# SPDX-License-Identifier: MIT
"""3x3 convolutions: Winograd, implicit GEMM and palettized weights beside PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np

import pymfa
from pymfa.bench.operands import distance, optional_torch, random, torch_tensor
from pymfa.bench.rounds import OURS, Call, Case

SHAPES = {64: (64, 64, 128), 320: (320, 320, 64), 640: (640, 640, 32), 1280: (1280, 1280, 16)}


def window_3x3(dtype: np.dtype[np.generic], channels: int) -> Case:
    """One image with `channels` channels in and out, as large as is usual with so many."""
    C, K, edge = SHAPES.get(channels, (channels, channels, 32))
    x, out = random((1, edge, edge, C), dtype, 1), random((1, edge, edge, K), dtype, 3)
    w = random((K, 3, 3, C), dtype, 2)
    w *= dtype.type(1 / np.sqrt(9 * C))
    palettized = pymfa.palettize(w, bits=6)
    kept = pymfa.WinogradWeights(w)

    def ours(weights: Any, algorithm: str = "winograd") -> Call:
        return lambda: pymfa.convolution(x, weights, padding=1, algorithm=algorithm, out=out)

    contenders: dict[str, Call] = {
        OURS: ours(w),
        "implicit GEMM": ours(w, "direct"),
        "6-bit palettized": ours(palettized),
        "kept weights": ours(kept),
    }
    if (torch := optional_torch()) is not None:
        tx, tw = (torch_tensor(torch, np.moveaxis(a, -1, 1)) for a in (x, w))

        def peer() -> Any:
            with torch.no_grad():
                return torch.nn.functional.conv2d(tx, tw, padding=1)

        contenders[f"torch {dtype.name}"] = peer

    def error() -> float:
        ours(w)()
        rows = min(edge, 8)
        padded = np.pad(x[0].astype(np.float64), ((1, 1), (1, 1), (0, 0)))[: rows + 2]
        exact = np.zeros((rows, edge, K))
        for i in range(3):
            for j in range(3):
                exact += padded[i : i + rows, j : j + edge] @ w[:, i, j].astype(np.float64).T
        return distance(out[0, :rows], exact)

    return Case(
        op="convolution",
        label=f"{C}→{K}, {edge}², {dtype.name}",
        size=channels,
        contenders=contenders,
        work=2.0 * 9 * C * K * edge * edge,
        error=error,
    )
