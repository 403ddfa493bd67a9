# SPDX-License-Identifier: MIT
"""Attention of packed batches and its gradients: sequences of different lengths in a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import native
from ..arrays import FLOATS, Array, expect_dtype, expect_output, expect_shape, operand
from ..errors import InvalidType, InvalidValue
from . import gradients, heads, scores

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from ..commands import Commands

NAME = "attention_varlen"
BACKWARD = "attention_varlen_backward"


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

    def desc(self, o_type: np.dtype[Any]) -> Any:
        batch, _, rows, columns = self.shape
        (total_rows, count, width), (total_columns, kv_heads, value_width) = (
            self.q.shape, self.v.shape,
        )  # fmt: skip
        return heads.describe(
            count, kv_heads, width, value_width, self.q.dtype, o_type, B=batch, R=rows, C=columns,
            packed=True, total_R=total_rows, total_C=total_columns,
        )  # fmt: skip

    def operands(self, commands: Commands) -> Any:
        operands = native.struct("mfa_attention_operands")
        commands.memory.put(operands.row_starts, self.row_starts)
        commands.memory.put(operands.column_starts, self.column_starts)
        return operands

    def lse(self, value: Any, *, copy: bool) -> Array:
        shape = (self.q.shape[1], len(self.q))
        return heads.sums(self.name, "lse", value, shape, copy=copy)


def _four(array: Array) -> Array:
    """As [batch, head, row, column]."""
    return np.swapaxes(array, 0, 1)[None]


def _packed(name: str, q: Any, k: Any, v: Any, starts_q: Any, starts_k: Any) -> _Packed:
    named = (("q", q), ("k", k), ("v", v))
    given = {label: _input(name, label, value) for label, value in named}
    for label, array in given.items():
        expect_dtype(f"{name}: {label}", array, given["q"].dtype)
    q, k, v = given.values()
    width = q.shape[2]
    total_columns, kv_heads, value_width = v.shape
    heads.expect_heads(name, q.shape[1], kv_heads)
    if k.shape != (total_columns, kv_heads, width):
        raise InvalidValue(
            f"{name}: k has shape {k.shape}; expected {(total_columns, kv_heads, width)}"
        )
    heads.expect_width(name, width, value_width)
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
    commands.encoding(NAME)
    packed = _packed(NAME, q, k, v, cu_seqlens_q, cu_seqlens_k)
    result = heads.output(NAME, out, out_dtype, packed.out_shape, packed.q.dtype)
    checked = scores.check(scores.Options(**options), packed.shape, copy=copy, name=NAME)
    sums = None if lse is None else packed.lse(lse, copy=False)
    given = {"q": packed.q, "k": packed.k, "v": packed.v}
    inputs = {n: heads.readable(NAME, n, _four(x), copy=copy) for n, x in given.items()}
    target = heads.readable(NAME, "out", _four(result), copy=False)
    read = {**inputs, **checked.arrays, **packed.starts}
    expect_output(f"{NAME}: out", result, lse=sums, **read)
    if sums is not None:
        expect_output(f"{NAME}: lse", sums, **read)
    if result.size == 0:
        return result

    desc, operands = packed.desc(result.dtype), packed.operands(commands)
    checked.set(commands, desc, operands)
    heads.put(commands, desc, operands, {**inputs, "o": target}, outputs=["o"])
    if sums is not None:
        heads.put_sums(commands, desc, operands, "lse", sums, output=True)
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
    wanted: Sequence[str] = gradients.ALL,
    dbias: Array | None = None,
    copy: bool = False,
    **options: Any,
) -> gradients.Found:
    """dq, dk and dv: given arrays are filled, others made; None for those not in `wanted`.

    `dbias`, [sequence, head, row, column], is filled; axes of one element are summed over.
    """
    commands.encoding(BACKWARD)
    gradients.expect_wanted(BACKWARD, wanted, dbias)
    packed = _packed(BACKWARD, q, k, v, cu_seqlens_q, cu_seqlens_k)
    given = {"q": packed.q, "k": packed.k, "v": packed.v}
    for label, value in (("o", o), ("do", do)):
        given[label] = _input(BACKWARD, label, value)
        expect_shape(f"{BACKWARD}: {label}", given[label], packed.out_shape)
    gradients.expect_types(BACKWARD, given)
    checked = scores.check(scores.Options(**options), packed.shape, copy=copy, name=BACKWARD)
    sums = packed.lse(lse, copy=copy)
    found = gradients.results(BACKWARD, wanted, (dq, dk, dv), given)
    targets = {name: _four(x) for name, x in found.items()}
    inputs = {n: heads.readable(BACKWARD, n, _four(x), copy=copy) for n, x in given.items()}
    problem = gradients.Problem(BACKWARD, inputs, sums, checked, packed.shape, dbias, packed.starts)
    desc, operands = packed.desc(given["o"].dtype), packed.operands(commands)
    return gradients.encode(commands, problem, found, targets, desc, operands)


def longest(name: str, starts: Any) -> int:
    """Keys of the longest sequence, by cu_seqlens_k."""
    return _longest(_starts(name, "cu_seqlens_k", starts, None))


def _input(name: str, label: str, value: Any) -> Array:
    array = operand(f"{name}: {label}", value)
    expect_dtype(f"{name}: {label}", array, *FLOATS)
    if array.ndim != 3:
        raise InvalidValue(
            f"{name}: {label} has shape {array.shape}; expected (rows of all batches, head, width)"
        )
    return array


def _starts(call: str, name: str, value: Any, total: int | None) -> Array:
    """`total`: where the last sequence ends, if that is known."""
    array = operand(f"{call}: {name}", value)
    if array.dtype.kind not in "iu":
        raise InvalidType(f"{call}: {name} has dtype {array.dtype.name}; expected integers")
    if array.ndim != 1 or len(array) == 0:
        raise InvalidValue(
            f"{call}: {name} has shape {array.shape}; expected one more than batches"
        )
    wide = array.astype(np.int64)
    total = int(wide[-1]) if total is None else total
    if wide[0] != 0 or wide[-1] != total:
        raise InvalidValue(
            f"{call}: {name} goes from {wide[0]} to {wide[-1]}; expected from 0 to {total}, "
            "the rows of all sequences"
        )
    falls = np.flatnonzero(np.diff(wide) < 0)
    if falls.size:
        at = int(falls[0])
        raise InvalidValue(
            f"{call}: {name} falls from {wide[at]} to {wide[at + 1]} at element {at + 1}; expected "
            "never down"
        )
    return np.ascontiguousarray(array, np.uint32)


def _longest(starts: Array) -> int:
    return int(np.diff(starts.astype(np.int64)).max(initial=0))
