# SPDX-License-Identifier: MIT
"""Convolutions: checks the arrays, spells out the options per dimension and makes the call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import native
from ..arrays import FLOATS, Array, expect_dtype, expect_output, expect_shape, operand
from ..errors import InvalidType, InvalidValue
from ..problem import ACTIVATIONS, ALGORITHMS, TYPES, choice
from ..quantized import Palettized, Quantized
from ..replay import Remembered
from .strides import in_place

if TYPE_CHECKING:
    from ..commands import Commands

NAME = "convolution"


@Remembered
def encode(
    commands: Commands,
    x: Any,
    w: Any,
    *,
    stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[Any] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    transposed: bool = False,
    output_padding: int | Sequence[int] = 0,
    bias: Any = None,
    activation: str | None = None,
    algorithm: str = "auto",
    out: Any = None,
    copy: bool = False,
) -> Array:
    """`copy`: inputs that are not packed may be copied now."""
    commands.encoding(NAME)
    x = _input("x", x)
    stored = _weights(w, x.dtype, groups)
    w = stored.shape
    if not 3 <= x.ndim <= 5:
        raise InvalidValue(
            f"{NAME}: x has shape {x.shape}; expected (images, spatial sizes..., channels) with 1 "
            "to 3 spatial sizes"
        )
    if len(w) != x.ndim:
        raise InvalidValue(
            f"{NAME}: w has shape {w}; expected {x.ndim} dimensions as x: (output channels, "
            "window..., input channels / groups)"
        )
    desc = describe(
        x.shape, w, x.dtype.name, stride=stride, padding=padding, dilation=dilation,
        groups=groups, transposed=transposed, output_padding=output_padding,
        activation=activation, algorithm=algorithm,
    )  # fmt: skip
    stored.describe(desc)
    shape = (x.shape[0], *output_size(desc), w[0])
    if bias is not None:
        bias = _input("bias", bias)
        expect_dtype(f"{NAME}: bias", bias, x.dtype)
        expect_shape(f"{NAME}: bias", bias, (w[0],))
        bias = in_place(f"{NAME}: bias", bias, usable=bias.flags.c_contiguous, copy=copy)
    result = np.empty(shape, x.dtype) if out is None else _input("out", out)
    expect_dtype(f"{NAME}: out", result, x.dtype)
    expect_shape(f"{NAME}: out", result, shape)
    if not result.flags.c_contiguous:
        raise InvalidValue(
            f"{NAME}: out has shape {result.shape} and strides of {result.strides} bytes; expected "
            "a packed array"
        )
    x = in_place(f"{NAME}: x", x, usable=x.flags.c_contiguous, copy=copy)
    data = stored.data
    data = in_place(f"{NAME}: w", data, usable=data.flags.c_contiguous, copy=copy)
    expect_output(f"{NAME}: out", result, x=x, w=data, bias=bias, palettes=stored.palettes)
    if result.size == 0:
        return result
    operands = place(
        commands, result, data=x, weights=data, bias=bias, palette=stored.palettes, result=result
    )
    native.operation("mfa_convolution", commands.handle, desc, operands)
    return result


def place(commands: Commands, output: Array, **arrays: Array | None) -> Any:
    """The mfa_convolution_operands."""
    operands = native.struct("mfa_convolution_operands")
    for slot, array in arrays.items():
        if array is None or array.size == 0:
            continue
        commands.memory.put(getattr(operands, slot), array, output=array is output)
    return operands


@dataclass(frozen=True)
class Stored:
    """Weights in the form they come in."""

    shape: tuple[int, ...]
    data: Array
    palettes: Array | None = None
    kind: str = "DENSE"
    bits: int = 0
    group_size: int = 0
    msb_first: bool = False

    def describe(self, desc: Any) -> None:
        desc.weights = native.number("MFA_WEIGHTS_" + self.kind)
        desc.palette_bits, desc.palette_group = self.bits, self.group_size
        desc.bit_order = native.number("MFA_BITS_MSB_FIRST" if self.msb_first
                                       else "MFA_BITS_LSB_FIRST")  # fmt: skip


def _weights(w: Any, dtype: Any, groups: int) -> Stored:
    from ..winograd import WinogradWeights

    if isinstance(w, WinogradWeights):
        if w.dtype != dtype:
            raise InvalidType(f"{NAME}: w is for {w.dtype.name}; expected {dtype.name}")
        if w.groups != groups:
            raise InvalidValue(f"{NAME}: w was made for {w.groups} groups; expected {groups}")
        return Stored(w.shape, w.data, kind="WINOGRAD")
    return stored_weights(NAME, w, dtype)


def stored_weights(name: str, w: Any, dtype: Any) -> Stored:
    if isinstance(w, Quantized):
        raise InvalidType(f"{name}: w is affine; expected an array or what palettize returned")
    if isinstance(w, Palettized):
        expect_dtype(f"{name}: w's palettes", w.palettes, dtype)
        if w.axis != 0:
            raise InvalidValue(
                f"{name}: w has palettes along axis {w.axis}; expected 0, the output channels"
            )
        return Stored(w.shape, w.packed, w.palettes, "PALETTIZED", w.bits, w.group_size or 0,
                      w.msb_first)  # fmt: skip
    array = operand(f"{name}: w", w)
    expect_dtype(f"{name}: w", array, dtype)
    return Stored(array.shape, array)


def describe(
    x: tuple[int, ...],
    w: tuple[int, ...],
    dtype: str,
    *,
    stride: int | Sequence[int],
    padding: str | int | Sequence[Any],
    dilation: int | Sequence[int],
    groups: int,
    transposed: bool,
    output_padding: int | Sequence[int],
    activation: str | None,
    algorithm: str,
) -> Any:
    """The mfa_convolution_desc for data and weights of these shapes."""
    dims = len(x) - 2
    groups = _integer("groups", groups, 1)
    if w[-1] * groups != x[-1]:
        raise InvalidValue(
            f"{NAME}: w has {w[-1]} input channels in each of {groups} groups; expected as many as "
            f"x has: {x[-1]} (channels are the last axis of both)"
        )
    desc = native.struct(
        "mfa_convolution_desc", N=x[0], C=x[-1], K=w[0], groups=groups, dimensions=dims,
        type=native.number(TYPES[dtype]), transposed=bool(transposed),
        activation=choice(f"{NAME}: activation", activation, ACTIVATIONS),
        algorithm=choice(f"{NAME}: algorithm", algorithm, ALGORITHMS),
    )  # fmt: skip
    begin, end = _padding(desc, padding, dims)
    numbers = {
        "input": x[1:-1],
        "window": w[1:-1],
        "stride": _per_dimension("stride", stride, dims, 1),
        "dilation": _per_dimension("dilation", dilation, dims, 1),
        "padding": begin,
        "padding_end": end,
        "output_padding": _per_dimension("output_padding", output_padding, dims, 0),
    }
    for field, values in numbers.items():
        array = getattr(desc, field)
        for i, value in enumerate(values):
            array[i] = value
    return desc


def output_size(desc: Any) -> tuple[int, ...]:
    sizes = native.array("uint64_t", [0, 0, 0])
    native.call("mfa_convolution_output_size", desc, sizes)
    return tuple(int(sizes[i]) for i in range(desc.dimensions))


def _input(which: str, value: Any) -> Array:
    array = operand(f"{NAME}: {which}", value)
    expect_dtype(f"{NAME}: {which}", array, *FLOATS)
    return array


def _integer(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise InvalidType(f"{NAME}: {name} is {value!r}; expected an integer")
    if not least <= value < 2**30:
        raise InvalidValue(f"{NAME}: {name} is {value}; expected at least {least}, below 2**30")
    return int(value)


def _per_dimension(name: str, value: Any, dims: int, least: int) -> list[int]:
    """One number for all dimensions, or one for each."""
    values = [value] * dims if not isinstance(value, (Sequence, np.ndarray)) else list(value)
    if len(values) != dims:
        raise InvalidValue(f"{NAME}: {name} is {value!r}; expected one number or {dims}")
    return [_integer(name, v, least) for v in values]


def _padding(desc: Any, padding: Any, dims: int) -> tuple[list[int], list[int]]:
    """Numbers, or pairs of what goes before and behind; or the name of a rule."""
    if isinstance(padding, str):
        modes = {"same": "MFA_PADDING_SAME", "valid": "MFA_PADDING_VALID"}
        desc.padding_mode = choice(f"{NAME}: padding", padding, modes)
        return [0] * dims, [0] * dims
    if not isinstance(padding, Sequence):
        padding = [padding] * dims
    if len(padding) != dims:
        raise InvalidValue(
            f"{NAME}: padding is {padding!r}; expected a number, {dims} numbers or pairs, "
            '"same" or "valid"'
        )
    pairs = [p if isinstance(p, Sequence) else (p, p) for p in padding]
    if any(len(p) != 2 for p in pairs):
        raise InvalidValue(f"{NAME}: padding is {padding!r}; expected pairs (before, behind)")
    begin, end = ([_integer("padding", p[i], 0) for p in pairs] for i in (0, 1))
    return begin, end
