# SPDX-License-Identifier: MIT
"""Two results of attention -> that over the keys of both: checks arrays and encodes one call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import native
from ..arrays import Array, expect_dtype, expect_output, expect_shape
from ..problem import LAYOUTS, TYPES, choice
from . import heads

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from ..commands import Commands

NAME = "merge_attention"


def encode(
    commands: Commands,
    o1: Any,
    lse1: Any,
    o2: Any,
    lse2: Any,
    *,
    layout: str = "BHND",
    out: Any = None,
    out_dtype: DTypeLike | None = None,
    lse: Any = None,
    copy: bool = False,
) -> Array:
    commands.encoding(NAME)
    choice(f"{NAME}: layout", layout, LAYOUTS)
    given = {name: heads.floats(NAME, name, value) for name, value in (("o1", o1), ("o2", o2))}
    first, second = given.values()
    expect_dtype(f"{NAME}: o2", second, first.dtype)
    expect_shape(f"{NAME}: o2", second, first.shape)
    dims = first.ndim
    result = heads.output(NAME, out, out_dtype, first.shape, first.dtype)
    target = heads.ordered(NAME, "out", result, dims, layout)
    parts = {name: heads.ordered(NAME, name, x, dims, layout) for name, x in given.items()}
    parts = {name: heads.readable(NAME, name, x, copy=copy) for name, x in parts.items()}
    batch, count, rows, width = target.shape
    shape = (batch, count, rows)[4 - dims :]
    sums = {
        name: heads.sums(NAME, name, value, shape, copy=copy)
        for name, value in (("lse1", lse1), ("lse2", lse2))
    }
    total = None if lse is None else heads.sums(NAME, "lse", lse, shape, copy=False)
    heads.readable(NAME, "out", target, copy=False)
    expect_output(f"{NAME}: out", result, lse=total, **parts, **sums)
    if total is not None:
        expect_output(f"{NAME}: lse", total, **parts, **sums)
    if min(target.shape) == 0:
        return result

    desc = native.struct(
        "mfa_merge_desc", B=batch, H=count, R=rows, Dv=width,
        type=native.number(TYPES[first.dtype.name]), o_type=native.number(TYPES[result.dtype.name]),
    )  # fmt: skip
    operands = native.struct("mfa_merge_operands")
    placed = {"first": parts["o1"], "second": parts["o2"], "o": target}
    heads.put(commands, desc, operands, placed, outputs=["o"])
    heads.put_sums(commands, desc, operands, "first_lse", sums["lse1"], output=False)
    heads.put_sums(commands, desc, operands, "second_lse", sums["lse2"], output=False)
    if total is not None:
        heads.put_sums(commands, desc, operands, "lse", total, output=True)
    native.operation("mfa_merge_attention", commands.handle, desc, operands)
    return result
