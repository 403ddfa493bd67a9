# SPDX-License-Identifier: MIT
"""Attention: checks the arrays, puts their axes in the ABI's order and encodes one call."""

from __future__ import annotations

from collections.abc import Sequence
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
from ..problem import LAYOUTS, TYPES, choice
from . import scores
from .strides import in_place, stride

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from ..commands import Commands


def encode(
    commands: Commands,
    q: Any,
    k: Any,
    v: Any,
    *,
    layout: str = "BHND",
    out: Any = None,
    out_dtype: DTypeLike | None = None,
    lse: Any = None,
    copy: bool = False,
    **options: Any,
) -> Array:
    """`copy`: inputs that no kernel reads in place may be copied now."""
    commands.encoding("attention")
    choice("attention: layout", layout, LAYOUTS)
    given = {name: _input(name, value) for name, value in (("q", q), ("k", k), ("v", v))}
    for name, array in given.items():
        expect_dtype(f"attention: {name}", array, given["q"].dtype)
    dims = given["q"].ndim
    q, k, v = (ordered(name, array, dims, layout) for name, array in given.items())
    batch, heads, rows, width = q.shape
    expect_heads(heads, k.shape[1])
    _expect("k", k, (batch, k.shape[1], k.shape[2], width), layout)
    _expect("v", v, (batch, k.shape[1], k.shape[2], v.shape[3]), layout)
    columns, value_width = v.shape[2:]
    if width == 0 or value_width == 0:
        which = "v has" if width else "q and k have"
        raise InvalidValue(f"attention: {which} no elements per head; expected at least one")

    shape = unordered((batch, heads, rows, value_width), dims, layout)
    result = output("attention", out, out_dtype, shape, q.dtype)
    target = ordered("out", result, dims, layout)
    checked = scores.check(scores.Options(**options), (batch, heads, rows, columns), copy=copy)
    sums = _lse(lse, (batch, heads, rows)[4 - dims :])
    q, k, v = (
        in_place(f"attention: {n}", x, usable=usable(x), copy=copy)
        for n, x in zip("qkv", (q, k, v), strict=True)
    )
    in_place("attention: out", target, usable=usable(target), copy=False)
    expect_output("attention: out", result, q=q, k=k, v=v, lse=sums, **checked.arrays)
    if sums is not None:
        expect_output("attention: lse", sums, q=q, k=k, v=v, **checked.arrays)
    if min(target.shape) == 0:
        return result

    desc = native.struct(
        "mfa_attention_desc", B=batch, H=heads, Hkv=k.shape[1], R=rows, C=columns, D=width,
        Dv=value_width, type=native.number(TYPES[q.dtype.name]),
        o_type=native.number(TYPES[target.dtype.name]),
    )  # fmt: skip
    operands = native.struct("mfa_attention_operands")
    checked.set(commands, desc, operands)
    for name, array in {"q": q, "k": k, "v": v, "o": target}.items():
        scores.set_strides(getattr(desc, name), array)
        scores.set_place(commands, getattr(operands, name), array, output=array is target)
    if sums is not None:
        steps = (*(0,) * (4 - dims), *element_strides(sums))
        desc.lse_batch, desc.lse_head = (
            stride(step, n) for step, n in zip(steps[:2], (batch, heads), strict=True)
        )
        scores.set_place(commands, operands.lse, sums, output=True)
    native.operation("mfa_attention", commands.handle, desc, operands)
    return result


def output(
    name: str, out: Any, dtype: DTypeLike | None, shape: tuple[int, ...], input_type: np.dtype[Any]
) -> Array:
    """`out` or a new array: of the inputs' type, or float32 if `out` is or `dtype` says so."""
    wanted = input_type if dtype is None else np.dtype(dtype)
    if wanted not in (input_type, np.float32):
        raise InvalidType(
            f"{name}: out_dtype is {wanted.name}; expected {input_type.name} or float32"
        )
    if out is None:
        return np.empty(shape, wanted)
    result = operand(f"{name}: out", out)
    expect_shape(f"{name}: out", result, shape)
    allowed = (input_type, np.dtype(np.float32)) if dtype is None else (wanted,)
    expect_dtype(f"{name}: out", result, *allowed)
    return result


def lse_shape(q: Array, layout: str) -> tuple[int, ...]:
    """One number for each row of each head: [batch, head, row] in either layout."""
    rows = ordered("q", q, q.ndim, layout).shape[:3]
    return rows[4 - q.ndim :]


def _input(name: str, value: Any, call: str = "attention") -> Array:
    array = operand(f"{call}: {name}", value)
    expect_dtype(f"{call}: {name}", array, *FLOATS)
    if not 2 <= array.ndim <= 4:
        raise InvalidValue(
            f"{call}: {name} has shape {array.shape}; expected (batch, head, row, width), in "
            "the order that layout says, without batch or without both batch and head"
        )
    return array


def ordered(name: str, array: Array, dims: int, layout: str, call: str = "attention") -> Array:
    """A view as [batch, head, row, column]."""
    if array.ndim != dims:
        raise InvalidValue(
            f"{call}: {name} has shape {array.shape}; expected {dims} dimensions as q has"
        )
    if dims > 2 and layout == "BNHD":
        array = np.swapaxes(array, -3, -2)
    return array[(None,) * (4 - dims)]


def unordered(shape: Sequence[int], dims: int, layout: str) -> tuple[int, ...]:
    b, h, n, d = shape
    full = (b, n, h, d) if layout == "BNHD" and dims > 2 else (b, h, n, d)
    return full[4 - dims :]


def expect_heads(heads: int, kv_heads: int, call: str = "attention") -> None:
    if kv_heads == 0 or heads % kv_heads:
        raise InvalidValue(f"{call}: q has {heads} heads and k has {kv_heads}; expected a divisor")


def _expect(
    name: str, array: Array, shape: tuple[int, ...], layout: str, call: str = "attention"
) -> None:
    if array.shape != shape:
        shown, wanted = (unordered(s, 4, layout) for s in (array.shape, shape))
        raise InvalidValue(f"{call}: {name} has shape {shown}; expected {wanted}")


def _lse(value: Any, shape: tuple[int, ...]) -> Array | None:
    if value is None:
        return None
    lse = operand("attention: lse", value)
    expect_dtype("attention: lse", lse, np.float32)
    expect_shape("attention: lse", lse, shape)
    in_place("attention: lse", lse, usable=contiguous_rows(lse), copy=False)
    return lse


def contiguous_rows(array: Array) -> bool:
    steps = element_strides(array)
    return min(steps, default=0) >= 0 and (array.shape[-1] <= 1 or steps[-1] == 1)


def usable(array: Array) -> bool:
    """No axis goes backwards, and one of row and column is contiguous."""
    axes = list(zip(array.shape, element_strides(array), strict=True))
    if any(step < 0 for n, step in axes if n > 1):
        return False
    return any(n <= 1 or step == 1 for n, step in axes[2:])
