# SPDX-License-Identifier: MIT
"""Arrays of attention -> views of four axes, and fields of the ABI's structs.

What all its forms share: one call or gradients, of batches, packed sequences or caches. `call` is
the function's name, for messages.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import native
from ..arrays import FLOATS, Array, element_strides, expect_dtype, expect_shape, operand
from ..errors import InvalidType, InvalidValue
from ..problem import TYPES
from .strides import in_place, stride

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from ..commands import Commands

_AXES = ("batch", "head", "row", "column")


# ---- Shapes.


def floats(call: str, name: str, value: Any) -> Array:
    """An array of two to four axes."""
    array = operand(f"{call}: {name}", value)
    expect_dtype(f"{call}: {name}", array, *FLOATS)
    if not 2 <= array.ndim <= 4:
        raise InvalidValue(
            f"{call}: {name} has shape {array.shape}; expected (batch, head, row, width), in "
            "the order that layout says, without batch or without both batch and head"
        )
    return array


def ordered(call: str, name: str, array: Array, dims: int, layout: str) -> Array:
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


def expect_ordered(call: str, name: str, array: Array, shape: tuple[int, ...], layout: str) -> None:
    """The shape of a view from `ordered`, shown in the caller's order."""
    if array.shape != shape:
        shown, wanted = (unordered(s, 4, layout) for s in (array.shape, shape))
        raise InvalidValue(f"{call}: {name} has shape {shown}; expected {wanted}")


def expect_heads(call: str, heads: int, kv_heads: int) -> None:
    if kv_heads == 0 or heads % kv_heads:
        raise InvalidValue(f"{call}: q has {heads} heads and k has {kv_heads}; expected a divisor")


def expect_width(call: str, width: int, value_width: int) -> None:
    if width == 0 or value_width == 0:
        which = "v has" if width else "q and k have"
        raise InvalidValue(f"{call}: {which} no elements per head; expected at least one")


def lse_shape(q: Array, layout: str) -> tuple[int, ...]:
    """One number for each row of each head: [batch, head, row] in either layout."""
    rows = ordered("attention", "q", q, q.ndim, layout).shape[:3]
    return rows[4 - q.ndim :]


# ---- Arrays that kernels read and write where they are.


def output(
    call: str, out: Any, dtype: DTypeLike | None, shape: tuple[int, ...], input_type: np.dtype[Any]
) -> Array:
    """`out` or a new array: of the inputs' type, or float32 if `out` is or `dtype` says so."""
    wanted = input_type if dtype is None else np.dtype(dtype)
    if wanted not in (input_type, np.float32):
        allowed = " or ".join(dict.fromkeys((input_type.name, "float32")))
        raise InvalidType(f"{call}: out_dtype is {wanted.name}; expected {allowed}")
    if out is None:
        return np.empty(shape, wanted)
    result = operand(f"{call}: out", out)
    expect_shape(f"{call}: out", result, shape)
    types = (input_type, np.dtype(np.float32)) if dtype is None else (wanted,)
    expect_dtype(f"{call}: out", result, *types)
    return result


def sums(call: str, name: str, value: Any, shape: tuple[int, ...], *, copy: bool) -> Array:
    """A log-sum-exp: [batch, head, row], or the last axes of that."""
    array = operand(f"{call}: {name}", value)
    expect_dtype(f"{call}: {name}", array, np.float32)
    expect_shape(f"{call}: {name}", array, shape)
    steps = element_strides(array)
    usable = min(steps, default=0) >= 0 and (array.shape[-1] <= 1 or steps[-1] == 1)
    usable = usable or array.size == 0
    return in_place(f"{call}: {name}", array, usable=usable, copy=copy)


def readable(call: str, name: str, array: Array, *, copy: bool) -> Array:
    """A view of four axes, or a copy of it where no kernel reads it and the caller takes one."""
    axes = list(zip(array.shape, element_strides(array), strict=True))
    forward = all(step >= 0 for n, step in axes if n > 1)
    usable = forward and any(n <= 1 or step == 1 for n, step in axes[2:])
    usable = usable or array.size == 0
    return in_place(f"{call}: {name}", array, usable=usable, copy=copy)


# ---- Fields of structs.


def describe(
    heads: int,
    kv_heads: int,
    width: int,
    value_width: int,
    dtype: np.dtype[Any],
    o_dtype: np.dtype[Any],
    **sizes: Any,
) -> Any:
    return native.struct(
        "mfa_attention_desc", H=heads, Hkv=kv_heads, D=width, Dv=value_width,
        type=native.number(TYPES[dtype.name]), o_type=native.number(TYPES[o_dtype.name]), **sizes,
    )  # fmt: skip


def set_strides(target: Any, array: Array) -> None:
    if array.size == 0:
        return  # any will do
    for name, size, step in zip(_AXES, array.shape, element_strides(array), strict=True):
        setattr(target, name, stride(step, size))
    rows, columns = array.shape[2:]
    if columns <= 1:
        target.column = 1
    elif rows <= 1 and target.column != 1:
        target.row = 1


def put(
    commands: Commands, desc: Any, operands: Any, arrays: Mapping[str, Array],
    *, outputs: Collection[str] = (),
) -> None:  # fmt: skip
    """Strides and places of arrays of four axes, into the fields that have their names."""
    for name, array in arrays.items():
        set_strides(getattr(desc, name), array)
        commands.memory.put(getattr(operands, name), array, output=name in outputs)


def put_sums(
    commands: Commands, desc: Any, operands: Any, name: str, array: Array, *, output: bool
) -> None:
    """The same for a log-sum-exp, whose strides are `name`_batch and `name`_head."""
    full = array[(None,) * (3 - array.ndim)]
    for axis, size, step in zip(("batch", "head"), full.shape, element_strides(full), strict=False):
        setattr(desc, f"{name}_{axis}", stride(step, size))
    commands.memory.put(getattr(operands, name), array, output=output)
