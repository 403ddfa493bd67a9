# SPDX-License-Identifier: MIT
"""Options of pymfa.attention -> what tolerance.Attention and AttentionGradients take."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from philox import kept

Array = NDArray[Any]


def reach(rows: int, columns: int, causal: bool | str, window: Any) -> tuple[Array, Array]:
    """Which columns each row may see by causal and window, and d of docs/attention.md."""
    offset = 0 if causal == "upper_left" else columns - rows
    distance = np.arange(rows)[:, None] + offset - np.arange(columns)[None]
    seen = distance >= 0 if causal else np.ones((rows, columns), bool)
    left, right = window or (None, None)
    if left is not None:
        seen = seen & (distance <= left)
    if right is not None:
        seen = seen & (distance >= -right)
    return seen, distance


def explained(
    shape: tuple[int, int, int, int],
    *,
    causal: bool | str = False,
    window: Any = None,
    soft_cap: float | None = None,
    alibi: Array | None = None,
    sinks: Array | None = None,
    mask: Array | None = None,
    bias: Array | None = None,
    dropout: float = 0.0,
    seed: int = 0,
    offset: int = 0,
) -> dict[str, Any]:
    """`shape` is that of the scores. An addend of -inf excludes, as a boolean mask does."""
    attend, distance = reach(*shape[2:], causal, window)
    added = np.zeros(shape)
    if alibi is not None:
        added = added - np.broadcast_to(alibi, shape[:2])[..., None, None] * np.abs(distance)
    for addend in (mask, bias):
        if addend is None:
            continue
        if addend.dtype == np.bool_:
            attend = attend & addend
        else:
            excluded = np.isneginf(addend)
            attend = attend & ~excluded
            added = added + np.where(excluded, 0, addend.astype(np.float64))
    return {
        "attend": np.broadcast_to(attend, shape), "bias": added, "soft_cap": soft_cap,
        "sinks": sinks, "dropout": dropout,
        "keep": kept(shape, dropout, seed, offset) if dropout else None,
    }  # fmt: skip


def of_sequence(options: dict[str, Any], i: int, rows: int, columns: int) -> dict[str, Any]:
    """Those that sequence `i` of a packed batch has by itself, but for its dropout."""
    own = dict(options)
    for name in ("mask", "bias"):
        if own.get(name) is not None:
            part = own[name][(None,) * (4 - own[name].ndim)]
            part = part[i : i + 1] if len(part) > 1 else part
            own[name] = part[:, :, :rows, :columns]
    if own.get("alibi") is not None and own["alibi"].ndim == 2:
        own["alibi"] = own["alibi"][i]
    return own
