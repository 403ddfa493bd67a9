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
from ..problem import CAUSAL, LAYOUTS, TYPES, choice
from .strides import in_place, stride

if TYPE_CHECKING:
    from ..commands import Commands

_AXES = ("batch", "head", "row", "column")


def encode(
    commands: Commands,
    q: Any,
    k: Any,
    v: Any,
    *,
    causal: bool | str = False,
    scale: float | None = None,
    mask: Any = None,
    layout: str = "BHND",
    out: Any = None,
    lse: Any = None,
    copy: bool = False,
) -> Array:
    """`copy`: inputs that no kernel reads in place may be copied now."""
    commands.encoding("attention")
    choice("attention: layout", layout, LAYOUTS)
    given = {name: _input(name, value) for name, value in (("q", q), ("k", k), ("v", v))}
    for name, array in given.items():
        expect_dtype(f"attention: {name}", array, given["q"].dtype)
    dims = given["q"].ndim
    q, k, v = (_ordered(name, array, dims, layout) for name, array in given.items())
    batch, heads, rows, width = q.shape
    _expect_heads(heads, k.shape[1])
    _expect("k", k, (batch, k.shape[1], k.shape[2], width), layout)
    _expect("v", v, (batch, k.shape[1], k.shape[2], v.shape[3]), layout)
    columns, value_width = v.shape[2:]
    if width == 0 or value_width == 0:
        which = "v has" if width else "q and k have"
        raise InvalidValue(f"attention: {which} no elements per head; expected at least one")

    shape = _unordered((batch, heads, rows, value_width), dims, layout)
    result = np.empty(shape, given["q"].dtype) if out is None else _input("out", out)
    expect_shape("attention: out", result, shape)
    expect_dtype("attention: out", result, given["q"].dtype)
    target = _ordered("out", result, dims, layout)
    mask = _mask(mask, (batch, heads, rows, columns), copy=copy)
    sums = _lse(lse, (batch, heads, rows)[4 - dims :])
    q, k, v = (
        in_place(f"attention: {n}", x, usable=_usable(x), copy=copy)
        for n, x in zip("qkv", (q, k, v), strict=True)
    )
    in_place("attention: out", target, usable=_usable(target), copy=False)
    expect_output("attention: out", result, q=q, k=k, v=v, mask=mask, lse=sums)
    if sums is not None:
        expect_output("attention: lse", sums, q=q, k=k, v=v, mask=mask)
    if min(target.shape) == 0:
        return result

    desc = native.struct(
        "mfa_attention_desc", B=batch, H=heads, Hkv=k.shape[1], R=rows, C=columns, D=width,
        Dv=value_width, type=native.number(TYPES[q.dtype.name]),
        causal=choice("attention: causal", causal, CAUSAL),
    )  # fmt: skip
    if scale is not None:
        desc.scale, desc.has_scale = _number("scale", scale), True
    operands = native.struct("mfa_attention_operands")
    slots = {"q": q, "k": k, "v": v, "o": target}
    if mask is not None:
        slots["mask"] = mask
        kind = "BOOLEAN" if mask.dtype == np.bool_ else "ADDITIVE"
        desc.mask_kind = native.number("MFA_MASK_" + kind)
        if kind == "ADDITIVE":
            desc.mask_type = native.number(TYPES[mask.dtype.name])
    for name, array in slots.items():
        _set_strides(getattr(desc, name), array)
        _set_place(commands, getattr(operands, name), array, output=array is target)
    if sums is not None:
        steps = (*(0,) * (4 - dims), *element_strides(sums))
        desc.lse_batch, desc.lse_head = (
            stride(step, n) for step, n in zip(steps[:2], (batch, heads), strict=True)
        )
        _set_place(commands, operands.lse, sums, output=True)
    native.call("mfa_attention", commands.handle, desc, operands)
    return result


def lse_shape(q: Array, layout: str) -> tuple[int, ...]:
    """One number for each row of each head: [batch, head, row] in either layout."""
    rows = _ordered("q", q, q.ndim, layout).shape[:3]
    return rows[4 - q.ndim :]


def _input(name: str, value: Any) -> Array:
    array = operand(f"attention: {name}", value)
    expect_dtype(f"attention: {name}", array, *FLOATS)
    if not 2 <= array.ndim <= 4:
        raise InvalidValue(
            f"attention: {name} has shape {array.shape}; expected (batch, head, row, width), in "
            "the order that layout says, without batch or without both batch and head"
        )
    return array


def _ordered(name: str, array: Array, dims: int, layout: str) -> Array:
    """A view as [batch, head, row, column]."""
    if array.ndim != dims:
        raise InvalidValue(
            f"attention: {name} has shape {array.shape}; expected {dims} dimensions as q has"
        )
    if dims > 2 and layout == "BNHD":
        array = np.swapaxes(array, -3, -2)
    return array[(None,) * (4 - dims)]


def _unordered(shape: Sequence[int], dims: int, layout: str) -> tuple[int, ...]:
    b, h, n, d = shape
    full = (b, n, h, d) if layout == "BNHD" and dims > 2 else (b, h, n, d)
    return full[4 - dims :]


def _expect_heads(heads: int, kv_heads: int) -> None:
    if kv_heads == 0 or heads % kv_heads:
        raise InvalidValue(
            f"attention: q has {heads} heads and k has {kv_heads}; expected a divisor"
        )


def _expect(name: str, array: Array, shape: tuple[int, ...], layout: str) -> None:
    if array.shape != shape:
        shown, wanted = (_unordered(s, 4, layout) for s in (array.shape, shape))
        raise InvalidValue(f"attention: {name} has shape {shown}; expected {wanted}")


def _mask(value: Any, shape: tuple[int, ...], *, copy: bool) -> Array | None:
    """A view of [batch, head, row, column] with repeated axes, its columns contiguous."""
    if value is None:
        return None
    mask = operand("attention: mask", value)
    if mask.dtype != np.bool_ and mask.dtype not in FLOATS:
        raise InvalidType(
            f"attention: mask has dtype {mask.dtype.name}; expected bool (True: attend), float16, "
            "float32 or bfloat16 (added to the scaled scores)"
        )
    try:
        full = np.broadcast_to(mask, shape)
    except ValueError:
        raise InvalidValue(
            f"attention: mask has shape {mask.shape}, which does not broadcast to {shape} (batch, "
            "head, query, key)"
        ) from None
    steps = element_strides(full)
    usable = (steps[3] == 1 or shape[3] <= 1) and min(steps) >= 0
    if usable:
        return full
    if mask.ndim and mask.shape[-1] != shape[3]:  # one value for all keys, written out
        mask = np.broadcast_to(mask, (*mask.shape[:-1], shape[3]))
    elif mask.ndim == 0:
        mask = np.broadcast_to(mask, (shape[3],))
    return np.broadcast_to(in_place("attention: mask", mask, usable=False, copy=copy), shape)


def _lse(value: Any, shape: tuple[int, ...]) -> Array | None:
    if value is None:
        return None
    lse = operand("attention: lse", value)
    expect_dtype("attention: lse", lse, np.float32)
    expect_shape("attention: lse", lse, shape)
    in_place("attention: lse", lse, usable=_contiguous_rows(lse), copy=False)
    return lse


def _contiguous_rows(array: Array) -> bool:
    steps = element_strides(array)
    return min(steps, default=0) >= 0 and (array.shape[-1] <= 1 or steps[-1] == 1)


def _usable(array: Array) -> bool:
    """No axis goes backwards, and one of row and column is contiguous."""
    axes = list(zip(array.shape, element_strides(array), strict=True))
    if any(step < 0 for n, step in axes if n > 1):
        return False
    return any(n <= 1 or step == 1 for n, step in axes[2:])


def _set_strides(target: Any, array: Array) -> None:
    for name, size, step in zip(_AXES, array.shape, element_strides(array), strict=True):
        setattr(target, name, stride(step, size))
    rows, columns = array.shape[2:]
    if columns <= 1:
        target.column = 1
    elif rows <= 1 and target.column != 1:
        target.row = 1


def _set_place(commands: Commands, target: Any, array: Array, *, output: bool) -> None:
    buffer, offset = commands.memory.place(array, output=output)
    target.buffer, target.offset = buffer.handle, offset


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise InvalidType(
            f"attention: {name} is a {type(value).__name__}; expected a number"
        ) from None
