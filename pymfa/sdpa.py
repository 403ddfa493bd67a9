# SPDX-License-Identifier: MIT
"""PyTorch's shapes of scaled_dot_product_attention in the terms of pymfa.attention.

Works on NumPy arrays and on tensors, whose indexing and reshape are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import InvalidValue

NAME = "scaled_dot_product_attention"
Broadcast = Callable[[Any, tuple[int, ...]], Any]  # numpy.broadcast_to or torch.broadcast_to


@dataclass(frozen=True)
class Plan:
    q: Any
    k: Any
    v: Any
    mask: Any
    scale: float | None
    shape: tuple[int, ...]  # of the result


def arrange(
    q: Any,
    k: Any,
    v: Any,
    mask: Any,
    *,
    dropout_p: float,
    is_causal: bool,
    scale: float | None,
    enable_gqa: bool,
    broadcast_to: Broadcast,
) -> Plan:
    """Everything as [batch, head, row, width], heads of keys and values compact for GQA."""
    if not 0 <= dropout_p <= 1:
        raise InvalidValue(f"{NAME}: dropout_p is {dropout_p}; expected 0 <= dropout_p <= 1")
    if is_causal and mask is not None:
        raise InvalidValue(f"{NAME}: attn_mask and is_causal exclude each other")
    for name, x in (("query", q), ("key", k), ("value", v)):
        if x.ndim < 2 or (enable_gqa and x.ndim < 3):
            raise InvalidValue(f"{NAME}: {name} has shape {tuple(x.shape)}; expected more axes")
    if mask is not None and mask.ndim < 2:
        raise InvalidValue(f"{NAME}: attn_mask has shape {tuple(mask.shape)}; expected (..., L, S)")
    if k.shape[-2] != v.shape[-2] or q.shape[-1] != k.shape[-1]:
        raise InvalidValue(
            f"{NAME}: shapes {tuple(q.shape)}, {tuple(k.shape)} and {tuple(v.shape)} are not "
            "(..., L, E), (..., S, E) and (..., S, Ev)"
        )
    heads: tuple[int, ...] = ()
    if enable_gqa:
        heads = (q.shape[-3],)
        k, v = _compact(q.shape[-3], k, v, broadcast_to)
    skip = 3 if enable_gqa else 2
    lead = _broadcast([tuple(x.shape[:-skip]) for x in (q, k, v)])
    if mask is not None:
        wanted = (*lead, *heads, q.shape[-2], k.shape[-2])
        if not _reaches(tuple(mask.shape), wanted):
            raise InvalidValue(
                f"{NAME}: attn_mask has shape {tuple(mask.shape)}, which does not broadcast to "
                f"{wanted}"
            )
        mask = _four(broadcast_to(mask, wanted))
    shape = (*lead, *heads, q.shape[-2], v.shape[-1])
    q, k, v = (_four(broadcast_to(x, (*lead, *x.shape[-skip:]))) for x in (q, k, v))
    if q.shape[-1] == 0:  # all scores are 0, as with one column and a scale of 0
        q, k = (broadcast_to(x.sum(-1)[..., None], (*x.shape[:-1], 1)) for x in (q, k))
        scale = 0.0
    return Plan(q, k, v, mask, scale, shape)


def _compact(heads: int, k: Any, v: Any, broadcast_to: Broadcast) -> tuple[Any, Any]:
    """Keys and values with the same number of heads."""
    counts = k.shape[-3], v.shape[-3]
    if any(count == 0 or heads % count for count in counts):
        raise InvalidValue(
            f"{NAME}: query, key and value have {heads}, {counts[0]} and {counts[1]} heads; "
            "expected numbers for key and value that divide the query's"
        )
    if counts[0] == counts[1]:
        return k, v
    full = []
    for x in (k, v):
        *lead, count, rows, width = x.shape
        repeated = broadcast_to(x[..., :, None, :, :], (*lead, count, heads // count, rows, width))
        full.append(repeated.reshape(*lead, heads, rows, width))
    return full[0], full[1]


def _reaches(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    tail = wanted[len(wanted) - len(shape) :]
    return len(shape) <= len(wanted) and all(a in (1, b) for a, b in zip(shape, tail, strict=True))


def _broadcast(shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise InvalidValue(f"{NAME}: leading axes {shapes} do not broadcast") from None


def _four(array: Any) -> Any:
    """[batch, head, row, column]: further leading axes go into the batch, in place if they can."""
    if array.ndim < 4:
        return array[(None,) * (4 - array.ndim)]
    if array.ndim == 4:
        return array
    return array.reshape(int(np.prod(array.shape[:-3])), *array.shape[-3:])
