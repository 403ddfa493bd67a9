# SPDX-License-Identifier: MIT
"""Attention of packed batches and its gradients: sequences of different lengths in a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import native
from ..arrays import (
    FLOATS,
    Array,
    element_strides,
    expect_dtype,
    expect_output,
    expect_shape,
    operand,
)
from ..errors import InvalidType, InvalidValue
from ..problem import TYPES
from . import attention, scores
from .strides import in_place, stride

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from ..commands import Commands

_NAME = "attention_varlen"
_BACKWARD = "attention_varlen_backward"
ALL = ("dq", "dk", "dv")


@dataclass(frozen=True)
class _Packed:
    """Checked q, k and v, and where sequences begin."""

    name: str
    q: Array
    k: Array
    v: Array
    row_starts: Array
    column_starts: Array

    @property
    def shape(self) -> scores.Shape:
        """Sequences, query heads, most queries and most keys of a sequence."""
        longest = (_longest(starts) for starts in (self.row_starts, self.column_starts))
        return (len(self.row_starts) - 1, self.q.shape[1], *longest)

    @property
    def out_shape(self) -> tuple[int, int, int]:
        return (*self.q.shape[:2], self.v.shape[2])

    @property
    def starts(self) -> dict[str, Array]:
        return {"cu_seqlens_q": self.row_starts, "cu_seqlens_k": self.column_starts}

    def desc(self, o_type: str) -> Any:
        batch, heads, rows, columns = self.shape
        return native.struct(
            "mfa_attention_desc", B=batch, H=heads, Hkv=self.k.shape[1], R=rows, C=columns,
            D=self.q.shape[2], Dv=self.v.shape[2], packed=True, total_R=len(self.q),
            total_C=len(self.k), type=native.number(TYPES[self.q.dtype.name]),
            o_type=native.number(TYPES[o_type]),
        )  # fmt: skip

    def set_starts(self, commands: Commands, operands: Any) -> None:
        scores.set_place(commands, operands.row_starts, self.row_starts, output=False)
        scores.set_place(commands, operands.column_starts, self.column_starts, output=False)

    def four(self, label: str, array: Array, *, copy: bool) -> Array:
        """As [batch, head, row, column], where a kernel reads it."""
        view = np.swapaxes(array, 0, 1)[None]
        usable = attention.usable(view)
        return in_place(f"{self.name}: {label}", view, usable=usable, copy=copy)

    def lse(self, value: Any, *, copy: bool) -> Array:
        sums = operand(f"{self.name}: lse", value)
        expect_dtype(f"{self.name}: lse", sums, np.float32)
        expect_shape(f"{self.name}: lse", sums, (self.q.shape[1], len(self.q)))
        usable = attention.contiguous_rows(sums)
        return in_place(f"{self.name}: lse", sums, usable=usable, copy=copy)


def _packed(name: str, q: Any, k: Any, v: Any, starts_q: Any, starts_k: Any) -> _Packed:
    named = (("q", q), ("k", k), ("v", v))
    given = {label: _input(name, label, value) for label, value in named}
    for label, array in given.items():
        expect_dtype(f"{name}: {label}", array, given["q"].dtype)
    q, k, v = given.values()
    width = q.shape[2]
    total_columns, kv_heads, value_width = v.shape
    attention.expect_heads(q.shape[1], kv_heads, name)
    if k.shape != (total_columns, kv_heads, width):
        raise InvalidValue(
            f"{name}: k has shape {k.shape}; expected {(total_columns, kv_heads, width)}"
        )
    if width == 0 or value_width == 0:
        raise InvalidValue(f"{name}: q, k or v have no elements per head; expected at least one")
    row_starts = _starts(name, "cu_seqlens_q", starts_q, len(q))
    column_starts = _starts(name, "cu_seqlens_k", starts_k, total_columns)
    if len(row_starts) != len(column_starts):
        raise InvalidValue(
            f"{name}: cu_seqlens_q has {len(row_starts)} elements, "
            f"cu_seqlens_k {len(column_starts)}; expected one more than batches in both"
        )
    return _Packed(name, q, k, v, row_starts, column_starts)


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
    packed = _packed(_NAME, q, k, v, cu_seqlens_q, cu_seqlens_k)
    result = attention.output(_NAME, out, out_dtype, packed.out_shape, packed.q.dtype)
    checked = scores.check(scores.Options(**options), packed.shape, copy=copy, name=_NAME)
    sums = None if lse is None else packed.lse(lse, copy=False)
    four = {
        label: packed.four(label, getattr(packed, label), copy=copy) for label in ("q", "k", "v")
    }
    target = packed.four("out", result, copy=False)
    inputs = {**four, **checked.arrays, **packed.starts}
    expect_output(f"{_NAME}: out", result, lse=sums, **inputs)
    if sums is not None:
        expect_output(f"{_NAME}: lse", sums, **inputs)
    if result.size == 0:
        return result

    desc, operands = packed.desc(result.dtype.name), native.struct("mfa_attention_operands")
    checked.set(commands, desc, operands)
    for name, array in {**four, "o": target}.items():
        scores.set_strides(getattr(desc, name), array)
        scores.set_place(commands, getattr(operands, name), array, output=array is target)
    packed.set_starts(commands, operands)
    if sums is not None:
        desc.lse_head = stride(element_strides(sums)[0], len(sums))
        scores.set_place(commands, operands.lse, sums, output=True)
    native.operation("mfa_attention", commands.handle, desc, operands)
    return result


def encode_backward(
    commands: Commands,
    do: Any,
    q: Any,
    k: Any,
    v: Any,
    o: Any,
    lse: Any,
    cu_seqlens_q: Any,
    cu_seqlens_k: Any,
    *,
    dq: Any = None,
    dk: Any = None,
    dv: Any = None,
    wanted: Sequence[str] = ALL,
    copy: bool = False,
    **options: Any,
) -> tuple[Array | None, Array | None, Array | None]:
    """dq, dk and dv: given arrays are filled, others made; None for those not in `wanted`."""
    commands.encoding(_BACKWARD)
    if not wanted or any(name not in ALL for name in wanted):
        raise InvalidValue(f"{_BACKWARD}: wanted is {tuple(wanted)!r}; expected some of {ALL}")
    packed = _packed(_BACKWARD, q, k, v, cu_seqlens_q, cu_seqlens_k)
    dtype = packed.q.dtype
    given = {"q": packed.q, "k": packed.k, "v": packed.v}
    for label, value in (("o", o), ("do", do)):
        given[label] = _input(_BACKWARD, label, value)
        expect_shape(f"{_BACKWARD}: {label}", given[label], packed.out_shape)
    expect_dtype(f"{_BACKWARD}: o", given["o"], dtype, np.float32)
    expect_dtype(f"{_BACKWARD}: do", given["do"], given["o"].dtype)
    checked = scores.check(scores.Options(**options), packed.shape, copy=copy, name=_BACKWARD)
    sums = packed.lse(lse, copy=copy)

    results: dict[str, Array] = {}
    for name, out, like in (("dq", dq, packed.q), ("dk", dk, packed.k), ("dv", dv, packed.v)):
        if name not in wanted:
            if out is not None:
                raise InvalidValue(f"{_BACKWARD}: {name} is given but not wanted")
            continue
        result = (
            np.empty(like.shape, dtype) if out is None else operand(f"{_BACKWARD}: {name}", out)
        )
        expect_shape(f"{_BACKWARD}: {name}", result, like.shape)
        expect_dtype(f"{_BACKWARD}: {name}", result, dtype)
        results[name] = result
    inputs = {label: packed.four(label, x, copy=copy) for label, x in given.items()}
    targets = {label: packed.four(label, x, copy=False) for label, x in results.items()}
    for name, result in results.items():
        others = {other: y for other, y in results.items() if other != name}
        read: dict[str, Array | None] = {
            **inputs, "lse": sums, **checked.arrays, **packed.starts, **others,
        }  # fmt: skip
        expect_output(f"{_BACKWARD}: {name}", result, **read)
    found = results.get("dq"), results.get("dk"), results.get("dv")
    if 0 in packed.shape:  # nothing depends on anything
        for array in results.values():
            array[...] = 0
        return found

    desc, operands = packed.desc(given["o"].dtype.name), native.struct("mfa_attention_operands")
    own = native.struct("mfa_attention_backward_desc", attention=desc)
    own_operands = native.struct("mfa_attention_backward_operands", attention=operands)
    checked.set(commands, desc, operands)
    for name in ("q", "k", "v", "o"):
        scores.set_strides(getattr(desc, name), inputs[name])
        scores.set_place(commands, getattr(operands, name), inputs[name], output=False)
    packed.set_starts(commands, operands)
    desc.lse_head = stride(element_strides(sums)[0], len(sums))
    scores.set_place(commands, operands.lse, sums, output=False)
    scores.set_strides(own.d_o, inputs["do"])
    scores.set_place(commands, own_operands.d_o, inputs["do"], output=False)
    for name, array in targets.items():
        scores.set_strides(getattr(own, name), array)
        scores.set_place(commands, getattr(own_operands, name), array, output=True)
    native.operation("mfa_attention_backward", commands.handle, own, own_operands)
    return found


def _input(name: str, label: str, value: Any) -> Array:
    array = operand(f"{name}: {label}", value)
    expect_dtype(f"{name}: {label}", array, *FLOATS)
    if array.ndim != 3:
        raise InvalidValue(
            f"{name}: {label} has shape {array.shape}; expected (rows of all batches, head, width)"
        )
    return array


def _starts(call: str, name: str, value: Any, total: int) -> Array:
    array = operand(f"{call}: {name}", value)
    if array.dtype.kind not in "iu":
        raise InvalidType(f"{call}: {name} has dtype {array.dtype.name}; expected integers")
    if array.ndim != 1 or len(array) == 0:
        raise InvalidValue(
            f"{call}: {name} has shape {array.shape}; expected one more than batches"
        )
    wide = array.astype(np.int64)
    if wide[0] != 0 or wide[-1] != total or (np.diff(wide) < 0).any():
        raise InvalidValue(
            f"{call}: {name} goes from {wide[0]} to {wide[-1]}; expected from 0 to {total} and "
            "never down"
        )
    return np.ascontiguousarray(array, np.uint32)


def _longest(starts: Array) -> int:
    return int(np.diff(starts.astype(np.int64)).max(initial=0))
