# SPDX-License-Identifier: MIT
"""Conversions between float16, bfloat16 and float32, and copies, on the device."""

from __future__ import annotations

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
from ..errors import InvalidType
from ..problem import TYPES, float_type
from ..replay import Remembered
from .strides import batches, in_place

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from ..commands import Commands


@Remembered
def encode(
    commands: Commands, x: Any, dtype: DTypeLike | None, *, out: Any = None, copy: bool = False
) -> Array:
    commands.encoding("cast")
    source = operand("cast: x", x)
    expect_dtype("cast: x", source, *FLOATS)
    if out is None:
        if dtype is None:
            raise InvalidType("cast: neither dtype nor out is given")
        result = np.empty(source.shape, np.dtype(TYPE[float_type("cast: dtype", dtype)]))
    else:
        result = operand("cast: out", out)
        expect_dtype("cast: out", result, *(FLOATS if dtype is None else [dtype]))
    expect_shape("cast: out", result, source.shape)
    expect_output("cast: out", result, x=source)
    source = in_place("cast: x", source, usable=_rows(source), copy=copy)
    in_place("cast: out", result, usable=_rows(result), copy=False)
    _encode(commands, source, result)
    return result


TYPE = {d.name: d for d in FLOATS}


def _rows(array: Array) -> bool:
    """The last axis is contiguous and the one before it does not go backwards."""
    if array.ndim == 0 or array.size == 0:
        return True
    steps = element_strides(array)
    return (array.shape[-1] == 1 or steps[-1] == 1) and all(
        s >= 0 for s, n in zip(steps[-2:-1], array.shape[-2:-1], strict=True) if n > 1
    )


def _encode(commands: Commands, source: Array, result: Array) -> None:
    if source.size == 0:
        return
    shape = source.shape or (1,)
    steps = [
        [0 if n == 1 else s for n, s in zip(x.shape, element_strides(x), strict=True)][:-1]
        for x in (source, result)
    ]
    rows = batches(shape[:-1], steps, repeats=False)
    desc = native.struct(
        "mfa_cast_desc", count=shape[-1], rows=rows.count,
        source_type=native.number(TYPES[source.dtype.name]),
        destination_type=native.number(TYPES[result.dtype.name]),
    )  # fmt: skip
    desc.source_stride, desc.destination_stride = rows.steps
    for first, second in rows.offsets:
        operands = native.struct("mfa_cast_operands")
        memory = commands.memory
        memory.put(operands.source, source, offset=first * source.itemsize)
        memory.put(operands.destination, result, output=True, offset=second * result.itemsize)
        native.operation("mfa_cast", commands.handle, desc, operands)
