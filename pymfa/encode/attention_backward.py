# SPDX-License-Identifier: MIT
"""Attention's gradients: checks the arrays and encodes one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import native
from ..arrays import Array, element_strides, expect_dtype, expect_output, expect_shape, operand
from ..errors import InvalidValue
from ..problem import LAYOUTS, TYPES, choice
from . import attention as forward
from . import scores
from .strides import in_place, stride

if TYPE_CHECKING:
    from ..commands import Commands

NAME = "attention_backward"
ALL = ("dq", "dk", "dv")


def encode(
    commands: Commands,
    do: Any,
    q: Any,
    k: Any,
    v: Any,
    o: Any,
    lse: Any,
    *,
    layout: str = "BHND",
    dq: Any = None,
    dk: Any = None,
    dv: Any = None,
    wanted: Sequence[str] = ALL,
    dbias: Array | None = None,
    copy: bool = False,
    **options: Any,
) -> tuple[Array | None, Array | None, Array | None]:
    """dq, dk and dv: given arrays are filled, others made; None for those not in `wanted`.

    `dbias`, [batch, head, row, column], is filled; axes of one element are summed over.
    """
    commands.encoding(NAME)
    choice(f"{NAME}: layout", layout, LAYOUTS)
    if any(name not in ALL for name in wanted) or (not wanted and dbias is None):
        raise InvalidValue(f"{NAME}: wanted is {tuple(wanted)!r}; expected some of {ALL}")
    named = {"q": q, "k": k, "v": v, "o": o, "do": do}
    given = {name: forward._input(name, value, NAME) for name, value in named.items()}
    dtype, dims = given["q"].dtype, given["q"].ndim
    for name in ("k", "v"):
        expect_dtype(f"{NAME}: {name}", given[name], dtype)
    expect_dtype(f"{NAME}: o", given["o"], dtype, np.float32)
    expect_dtype(f"{NAME}: do", given["do"], given["o"].dtype)
    inputs = {name: forward.ordered(name, x, dims, layout, NAME) for name, x in given.items()}
    batch, heads, rows, width = inputs["q"].shape
    kv_heads, columns = inputs["k"].shape[1:3]
    value_width = inputs["v"].shape[3]
    forward.expect_heads(heads, kv_heads, NAME)
    shapes = {
        "k": (batch, kv_heads, columns, width),
        "v": (batch, kv_heads, columns, value_width),
        "o": (batch, heads, rows, value_width),
        "do": (batch, heads, rows, value_width),
    }
    for name, shape in shapes.items():
        forward._expect(name, inputs[name], shape, layout, NAME)
    if width == 0 or value_width == 0:
        which = "v has" if width else "q and k have"
        raise InvalidValue(f"{NAME}: {which} no elements per head; expected at least one")
    checked = scores.check(
        scores.Options(**options), (batch, heads, rows, columns), copy=copy, name=NAME
    )
    sums = _lse(lse, (batch, heads, rows)[4 - dims :], copy=copy)

    results: dict[str, Array] = {}
    for name, out, like in (("dq", dq, "q"), ("dk", dk, "k"), ("dv", dv, "v")):
        if name not in wanted:
            if out is not None:
                raise InvalidValue(f"{NAME}: {name} is given but wanted is {tuple(wanted)!r}")
            continue
        shape = given[like].shape
        result = np.empty(shape, dtype) if out is None else operand(f"{NAME}: {name}", out)
        expect_shape(f"{NAME}: {name}", result, shape)
        expect_dtype(f"{NAME}: {name}", result, dtype)
        results[name] = result
    targets = {n: forward.ordered(n, x, dims, layout, NAME) for n, x in results.items()}
    for name, x in inputs.items():
        inputs[name] = in_place(f"{NAME}: {name}", x, usable=forward.usable(x), copy=copy)
    for name, x in targets.items():
        in_place(f"{NAME}: {name}", x, usable=forward.usable(x), copy=False)
        others = {other: y for other, y in results.items() if other != name}
        read: dict[str, Array | None] = {**inputs, "lse": sums, **checked.arrays, **others}
        expect_output(f"{NAME}: {name}", results[name], **read)
    found = results.get("dq"), results.get("dk"), results.get("dv")
    if 0 in (batch, heads, rows, columns):  # nothing depends on anything
        for array in (*results.values(), dbias):
            if array is not None:
                array[...] = 0
        return found

    desc = native.struct(
        "mfa_attention_desc", B=batch, H=heads, Hkv=kv_heads, R=rows, C=columns, D=width,
        Dv=value_width, type=native.number(TYPES[dtype.name]),
        o_type=native.number(TYPES[given["o"].dtype.name]),
    )  # fmt: skip
    operands = native.struct("mfa_attention_operands")
    own = native.struct("mfa_attention_backward_desc", attention=desc)
    own_operands = native.struct("mfa_attention_backward_operands", attention=operands)
    checked.set(commands, desc, operands)
    for name in ("q", "k", "v", "o"):
        scores.set_strides(getattr(desc, name), inputs[name])
        scores.set_place(commands, getattr(operands, name), inputs[name], output=False)
    steps = (*(0,) * (4 - dims), *element_strides(sums))
    desc.lse_batch, desc.lse_head = (
        stride(step, n) for step, n in zip(steps[:2], (batch, heads), strict=True)
    )
    scores.set_place(commands, operands.lse, sums, output=False)
    scores.set_strides(own.d_o, inputs["do"])
    scores.set_place(commands, own_operands.d_o, inputs["do"], output=False)
    for name, array in targets.items():
        scores.set_strides(getattr(own, name), array)
        scores.set_place(commands, getattr(own_operands, name), array, output=True)
    if dbias is not None:
        repeated = np.broadcast_to(dbias, (batch, heads, rows, columns))
        scores.set_strides(own.dbias, repeated)
        own.dbias_type = native.number(TYPES[dbias.dtype.name])
        scores.set_place(commands, own_operands.dbias, dbias, output=True)
    native.operation("mfa_attention_backward", commands.handle, own, own_operands)
    return found


def bias_gradient(bias: Any, mask: Any, columns: int) -> tuple[Array, Array]:
    """What the gradient of the bias, or else of the additive mask, is to be, and what a kernel
    fills: the same with four axes, in float32 with all columns where the last one is repeated."""
    given = mask if bias is None else bias
    if given is None:
        raise InvalidValue(f"{NAME}: return_dbias needs a bias or an additive mask")
    array = operand(f"{NAME}: bias", given)
    if array.dtype == np.bool_:
        raise InvalidValue(f"{NAME}: return_dbias needs a bias; the mask is boolean")
    result = np.zeros(array.shape, array.dtype)
    four = result[(None,) * (4 - result.ndim)]
    if four.shape[3] == columns:
        return result, four
    return result, np.zeros((*four.shape[:3], columns), np.float32)


def _lse(value: Any, shape: tuple[int, ...], *, copy: bool) -> Array:
    lse = operand(f"{NAME}: lse", value)
    expect_dtype(f"{NAME}: lse", lse, np.float32)
    expect_shape(f"{NAME}: lse", lse, shape)
    return in_place(f"{NAME}: lse", lse, usable=forward.contiguous_rows(lse), copy=copy)
