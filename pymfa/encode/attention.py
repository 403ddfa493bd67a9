# SPDX-License-Identifier: MIT
"""Attention: checks the arrays, puts their axes in the ABI's order and encodes one call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import native
from ..arrays import Array, expect_dtype, expect_output
from ..problem import LAYOUTS, choice
from ..replay import Remembered
from . import heads, scores

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from ..commands import Commands

NAME = "attention"


@Remembered
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
    commands.encoding(NAME)
    choice(f"{NAME}: layout", layout, LAYOUTS)
    given = {n: heads.floats(NAME, n, value) for n, value in (("q", q), ("k", k), ("v", v))}
    dtype, dims = given["q"].dtype, given["q"].ndim
    for name, array in given.items():
        expect_dtype(f"{NAME}: {name}", array, dtype)
    inputs = {name: heads.ordered(NAME, name, x, dims, layout) for name, x in given.items()}
    batch, count, rows, width = inputs["q"].shape
    kv_heads, columns = inputs["k"].shape[1:3]
    value_width = inputs["v"].shape[3]
    heads.expect_heads(NAME, count, kv_heads)
    for name, size in (("k", width), ("v", value_width)):
        expected = (batch, kv_heads, columns, size)
        heads.expect_ordered(NAME, name, inputs[name], expected, layout)
    heads.expect_width(NAME, width, value_width)

    shape = heads.unordered((batch, count, rows, value_width), dims, layout)
    result = heads.output(NAME, out, out_dtype, shape, dtype)
    target = heads.ordered(NAME, "out", result, dims, layout)
    checked = scores.check(scores.Options(**options), (batch, count, rows, columns), copy=copy)
    sums = None
    if lse is not None:
        sums = heads.sums(NAME, "lse", lse, (batch, count, rows)[4 - dims :], copy=False)
    inputs = {name: heads.readable(NAME, name, x, copy=copy) for name, x in inputs.items()}
    heads.readable(NAME, "out", target, copy=False)
    expect_output(f"{NAME}: out", result, lse=sums, **inputs, **checked.arrays)
    if sums is not None:
        expect_output(f"{NAME}: lse", sums, **inputs, **checked.arrays)
    if min(target.shape) == 0:
        return result

    desc = heads.describe(
        count, kv_heads, width, value_width, dtype, target.dtype, B=batch, R=rows, C=columns
    )
    operands = native.struct("mfa_attention_operands")
    checked.set(commands, desc, operands)
    heads.put(commands, desc, operands, {**inputs, "o": target}, outputs=["o"])
    if sums is not None:
        heads.put_sums(commands, desc, operands, "lse", sums, output=True)
    native.operation("mfa_attention", commands.handle, desc, operands)
    return result
