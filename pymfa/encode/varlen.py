# SPDX-License-Identifier: MIT
"""Attention of packed batches: sequences of different lengths, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import native
from ..arrays import FLOATS, Array, element_strides, expect_dtype, expect_output, operand
from ..errors import InvalidType, InvalidValue
from ..problem import TYPES
from . import attention, scores
from .strides import in_place, stride

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from ..commands import Commands

_NAME = "attention_varlen"


def encode(
    commands: Commands,
    q: Any,
    k: Any,
    v: Any,
    cu_seqlens_q: Any,
    cu_seqlens_k: Any,
    *,
    out: Any = None,
    out_dtype: DTypeLike | None = None,
    lse: Any = None,
    copy: bool = False,
    **options: Any,
) -> Array:
    """q, k and v are (rows of all batches, head, width)."""
    commands.encoding(_NAME)
    given = {name: _input(name, value) for name, value in (("q", q), ("k", k), ("v", v))}
    for name, array in given.items():
        expect_dtype(f"{_NAME}: {name}", array, given["q"].dtype)
    q, k, v = given.values()
    total_rows, heads, width = q.shape
    total_columns, kv_heads, value_width = v.shape
    attention.expect_heads(heads, kv_heads)
    if k.shape != (total_columns, kv_heads, width):
        raise InvalidValue(
            f"{_NAME}: k has shape {k.shape}; expected {(total_columns, kv_heads, width)}"
        )
    if width == 0 or value_width == 0:
        raise InvalidValue(f"{_NAME}: q, k or v have no elements per head; expected at least one")
    row_starts = _starts("cu_seqlens_q", cu_seqlens_q, total_rows)
    column_starts = _starts("cu_seqlens_k", cu_seqlens_k, total_columns)
    if len(row_starts) != len(column_starts):
        raise InvalidValue(
            f"{_NAME}: cu_seqlens_q has {len(row_starts)} elements, "
            f"cu_seqlens_k {len(column_starts)}; expected one more than batches in both"
        )
    batch = len(row_starts) - 1
    rows, columns = (_longest(starts) for starts in (row_starts, column_starts))

    result = attention.output(_NAME, out, out_dtype, (total_rows, heads, value_width), q.dtype)
    checked = scores.check(
        scores.Options(**options), (batch, heads, rows, columns), copy=copy, name=_NAME
    )
    sums = None
    if lse is not None:
        sums = operand(f"{_NAME}: lse", lse)
        expect_dtype(f"{_NAME}: lse", sums, np.float32)
        if sums.shape != (heads, total_rows):
            raise InvalidValue(
                f"{_NAME}: lse has shape {sums.shape}; expected {(heads, total_rows)}"
            )
        in_place(f"{_NAME}: lse", sums, usable=attention.contiguous_rows(sums), copy=False)
    four = {name: np.swapaxes(array, 0, 1)[None] for name, array in given.items()}
    for name, array in four.items():
        usable = attention.usable(array)
        four[name] = in_place(f"{_NAME}: {name}", array, usable=usable, copy=copy)
    target = np.swapaxes(result, 0, 1)[None]
    in_place(f"{_NAME}: out", target, usable=attention.usable(target), copy=False)
    inputs = {
        **four, **checked.arrays, "cu_seqlens_q": row_starts, "cu_seqlens_k": column_starts
    }  # fmt: skip
    expect_output(f"{_NAME}: out", result, lse=sums, **inputs)
    if sums is not None:
        expect_output(f"{_NAME}: lse", sums, **inputs)
    if result.size == 0:
        return result

    desc = native.struct(
        "mfa_attention_desc", B=batch, H=heads, Hkv=kv_heads, R=rows, C=columns, D=width,
        Dv=value_width, packed=True, total_R=total_rows, total_C=total_columns,
        type=native.number(TYPES[q.dtype.name]), o_type=native.number(TYPES[result.dtype.name]),
    )  # fmt: skip
    operands = native.struct("mfa_attention_operands")
    checked.set(commands, desc, operands)
    for name, array in {**four, "o": target}.items():
        scores.set_strides(getattr(desc, name), array)
        scores.set_place(commands, getattr(operands, name), array, output=array is target)
    scores.set_place(commands, operands.row_starts, row_starts, output=False)
    scores.set_place(commands, operands.column_starts, column_starts, output=False)
    if sums is not None:
        desc.lse_head = stride(element_strides(sums)[0], heads)
        scores.set_place(commands, operands.lse, sums, output=True)
    native.operation("mfa_attention", commands.handle, desc, operands)
    return result


def _input(name: str, value: Any) -> Array:
    array = operand(f"{_NAME}: {name}", value)
    expect_dtype(f"{_NAME}: {name}", array, *FLOATS)
    if array.ndim != 3:
        raise InvalidValue(
            f"{_NAME}: {name} has shape {array.shape}; expected (rows of all batches, head, width)"
        )
    return array


def _starts(name: str, value: Any, total: int) -> Array:
    array = operand(f"{_NAME}: {name}", value)
    if array.dtype.kind not in "iu":
        raise InvalidType(f"{_NAME}: {name} has dtype {array.dtype.name}; expected integers")
    if array.ndim != 1 or len(array) == 0:
        raise InvalidValue(
            f"{_NAME}: {name} has shape {array.shape}; expected one more than batches"
        )
    wide = array.astype(np.int64)
    if wide[0] != 0 or wide[-1] != total or (np.diff(wide) < 0).any():
        raise InvalidValue(
            f"{_NAME}: {name} goes from {wide[0]} to {wide[-1]}; expected from 0 to {total} and "
            "never down"
        )
    return np.ascontiguousarray(array, np.uint32)


def _longest(starts: Array) -> int:
    return int(np.diff(starts.astype(np.int64)).max(initial=0))
