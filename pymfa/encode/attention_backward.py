# SPDX-License-Identifier: MIT
"""Attention's gradients: checks the arrays and encodes one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import native
from ..arrays import Array
from ..problem import LAYOUTS, choice
from . import gradients, heads, scores

if TYPE_CHECKING:
    from ..commands import Commands

NAME = "attention_backward"


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
    wanted: Sequence[str] = gradients.ALL,
    dbias: Array | None = None,
    copy: bool = False,
    **options: Any,
) -> gradients.Found:
    """dq, dk and dv: given arrays are filled, others made; None for those not in `wanted`.

    `dbias`, [batch, head, row, column], is filled; axes of one element are summed over.
    """
    commands.encoding(NAME)
    choice(f"{NAME}: layout", layout, LAYOUTS)
    gradients.expect_wanted(NAME, wanted, dbias)
    named = {"q": q, "k": k, "v": v, "o": o, "do": do}
    given = {name: heads.floats(NAME, name, value) for name, value in named.items()}
    gradients.expect_types(NAME, given)
    dims = given["q"].ndim
    inputs = {name: heads.ordered(NAME, name, x, dims, layout) for name, x in given.items()}
    batch, count, rows, width = inputs["q"].shape
    kv_heads, columns = inputs["k"].shape[1:3]
    value_width = inputs["v"].shape[3]
    heads.expect_heads(NAME, count, kv_heads)
    shapes = {
        "k": (batch, kv_heads, columns, width),
        "v": (batch, kv_heads, columns, value_width),
        "o": (batch, count, rows, value_width),
        "do": (batch, count, rows, value_width),
    }
    for name, shape in shapes.items():
        heads.expect_ordered(NAME, name, inputs[name], shape, layout)
    heads.expect_width(NAME, width, value_width)
    shape = (batch, count, rows, columns)
    checked = scores.check(scores.Options(**options), shape, copy=copy, name=NAME)
    sums = heads.sums(NAME, "lse", lse, shape[4 - dims : 3], copy=copy)
    found = gradients.results(NAME, wanted, (dq, dk, dv), given)
    targets = {n: heads.ordered(NAME, n, x, dims, layout) for n, x in found.items()}
    read = {name: heads.readable(NAME, name, x, copy=copy) for name, x in inputs.items()}
    problem = gradients.Problem(NAME, read, sums, checked, shape, dbias, {})
    desc = heads.describe(
        count, kv_heads, width, value_width, given["q"].dtype, given["o"].dtype, B=batch, R=rows,
        C=columns,
    )  # fmt: skip
    operands = native.struct("mfa_attention_operands")
    return gradients.encode(commands, problem, found, targets, desc, operands)
