# SPDX-License-Identifier: MIT
"""PyTorch's arguments of scaled_dot_product_attention in the terms of pymfa.attention."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .arrays import FLOATS, Array, expect_dtype, operand
from .errors import InvalidType, InvalidValue, Unsupported

_NAME = "scaled_dot_product_attention"


@dataclass(frozen=True)
class Plan:
    q: Array
    k: Array
    v: Array
    mask: Array | None
    shape: tuple[int, ...]  # of the result


def arrange(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any,
    dropout_p: float,
    is_causal: bool,
    enable_gqa: bool,
) -> Plan:
    """Everything as [batch, head, row, width], heads of keys and values compact for GQA."""
    if dropout_p:
        raise Unsupported(f"{_NAME}: dropout_p is {dropout_p}; only inference (0) is supported")
    if is_causal and attn_mask is not None:
        raise InvalidValue(f"{_NAME}: attn_mask and is_causal exclude each other")
    named = {"query": query, "key": key, "value": value}
    q, k, v = (operand(f"{_NAME}: {name}", x) for name, x in named.items())
    expect_dtype(f"{_NAME}: query", q, *FLOATS)
    for name, x in (("query", q), ("key", k), ("value", v)):
        expect_dtype(f"{_NAME}: {name}", x, q.dtype)
        if x.ndim < 2 or (enable_gqa and x.ndim < 3):
            raise InvalidValue(f"{_NAME}: {name} has shape {x.shape}; expected more dimensions")
    if k.shape[-2] != v.shape[-2] or q.shape[-1] != k.shape[-1]:
        raise InvalidValue(
            f"{_NAME}: shapes {q.shape}, {k.shape} and {v.shape} are not (..., L, E), (..., S, E) "
            "and (..., S, Ev)"
        )
    heads = _heads(q, k, v) if enable_gqa else None
    lead = _broadcast([x.shape[: -3 if heads else -2] for x in (q, k, v)])
    mask = _mask(attn_mask, q)
    outer = (*lead, heads[0]) if heads else lead
    if mask is not None:
        try:
            mask = np.broadcast_to(mask, (*outer, q.shape[-2], k.shape[-2]))
        except ValueError:
            raise InvalidValue(
                f"{_NAME}: attn_mask has shape {mask.shape}, which does not broadcast to "
                f"{(*outer, q.shape[-2], k.shape[-2])}"
            ) from None
    q, k, v = (
        _four(np.broadcast_to(x, (*lead, *x.shape[-3 if heads else -2 :]))) for x in (q, k, v)
    )
    shape = (*outer, q.shape[-2], v.shape[-1])
    return Plan(q, k, v, None if mask is None else _four(mask), shape)


def _heads(q: Array, k: Array, v: Array) -> tuple[int, int]:
    heads, kv_heads = q.shape[-3], k.shape[-3]
    if v.shape[-3] != kv_heads or kv_heads == 0 or heads % kv_heads:
        raise InvalidValue(
            f"{_NAME}: query, key and value have {heads}, {kv_heads} and {v.shape[-3]} heads; "
            "expected equal numbers for key and value that divide the query's"
        )
    return heads, kv_heads


def _mask(value: Any, q: Array) -> Array | None:
    if value is None:
        return None
    mask = operand(f"{_NAME}: attn_mask", value)
    if mask.dtype != np.bool_ and mask.dtype not in (q.dtype, np.dtype(np.float32)):
        raise InvalidType(
            f"{_NAME}: attn_mask has dtype {mask.dtype.name}; expected bool or {q.dtype.name}"
        )
    if mask.ndim < 2:
        raise InvalidValue(f"{_NAME}: attn_mask has shape {mask.shape}; expected (..., L, S)")
    return mask


def _broadcast(shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise InvalidValue(f"{_NAME}: leading axes {shapes} do not broadcast") from None


def _four(array: Array) -> Array:
    """[batch, head, row, column]: further leading axes go into the batch, in place if they can."""
    if array.ndim < 4:
        return array[(None,) * (4 - array.ndim)]
    return array if array.ndim == 4 else array.reshape(-1, *array.shape[-3:])
