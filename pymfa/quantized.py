# SPDX-License-Identifier: MIT
"""Weights of few bits: what qgemm multiplies by, made from arrays and turned back into them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import FLOATS, Array, expect_dtype, expect_shape, operand
from .errors import InvalidType, InvalidValue
from .packing import pack, unpack
from .palettes import cluster
from .problem import float_type
from .replay import HOLDERS

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

AFFINE_BITS = (2, 3, 4, 5, 6, 8)
GROUP_SIZES = (32, 64, 128)
_TYPES = {dtype.name: dtype for dtype in FLOATS}


@dataclass(frozen=True, eq=False)
class Quantized:
    """Affine: scales * number + biases, one of each per group of neighbours in a row.

    packed is uint32 (..., rows, words), scales and biases are (..., rows, groups), bit by bit what
    mlx.core.quantize returns. A row of numbers ends with a word; `columns` of them count (default:
    as many as the words hold).
    """

    packed: Array
    scales: Array
    biases: Array
    bits: int = 4
    group_size: int = 64
    columns: int | None = None

    def __post_init__(self) -> None:
        what = "Quantized"
        _expect_member(f"{what}: bits", self.bits, AFFINE_BITS)
        _expect_member(f"{what}: group_size", self.group_size, GROUP_SIZES)
        packed = operand(f"{what}: packed", self.packed)
        scales = operand(f"{what}: scales", self.scales)
        biases = operand(f"{what}: biases", self.biases)
        expect_dtype(f"{what}: packed", packed, np.uint32)
        expect_dtype(f"{what}: scales", scales, *FLOATS)
        expect_dtype(f"{what}: biases", biases, scales.dtype)
        if packed.ndim < 2:
            raise InvalidValue(f"{what}: packed has shape {packed.shape}; expected (..., N, words)")
        room = packed.shape[-1] * 32 // self.bits
        columns = room if self.columns is None else int(self.columns)
        if columns < 0 or -(-columns // 32) * self.bits != packed.shape[-1]:
            raise InvalidValue(
                f"{what}: {packed.shape[-1]} words a row cannot hold {columns} numbers of "
                f"{self.bits} bits; expected {-(-columns // 32) * self.bits}"
            )
        groups = (*packed.shape[:-1], -(-columns // self.group_size))
        expect_shape(f"{what}: scales", scales, groups)
        expect_shape(f"{what}: biases", biases, groups)
        for name, value in (("packed", packed), ("scales", scales), ("biases", biases)):
            object.__setattr__(self, name, np.ascontiguousarray(value))
        object.__setattr__(self, "columns", columns)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the weights."""
        assert self.columns is not None
        return (*self.packed.shape[:-1], self.columns)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of scales and biases."""
        return self.scales.dtype

    @property
    def row_numbers(self) -> int:
        """Numbers from one row to the next."""
        return int(self.packed.shape[-1]) * 32 // self.bits

    @property
    def nbytes(self) -> int:
        return self.packed.nbytes + self.scales.nbytes + self.biases.nbytes

    def numbers(self) -> Array:
        """uint8, in the shape of the weights."""
        data = self.packed.astype("<u4", copy=False).view(np.uint8)
        return unpack(data, self.bits, self.shape[-1])

    def __repr__(self) -> str:
        return (
            f"<pymfa.Quantized {self.shape} {self.bits} bits, groups of {self.group_size}, "
            f"{self.dtype.name}>"
        )


@dataclass(frozen=True, eq=False)
class Palettized:
    """palettes[number], the numbers of all weights one after another without gaps.

    packed is uint8 (bytes,), in Core ML's order: the first weight in the lowest bits; with
    msb_first in the highest. palettes is (groups, 2**bits): group i is for indices i * group_size
    up to (i + 1) * group_size of `axis`; with group_size None there is one.
    """

    packed: Array
    palettes: Array
    shape: tuple[int, ...]
    bits: int = 6
    axis: int = 0
    group_size: int | None = None
    msb_first: bool = False

    def __post_init__(self) -> None:
        what = "Palettized"
        _expect_member(f"{what}: bits", self.bits, range(1, 9))
        shape = tuple(int(n) for n in self.shape)
        if not shape or min(shape) < 0:
            raise InvalidValue(f"{what}: shape is {shape}; expected at least one axis")
        axis = _axis(what, self.axis, len(shape))
        groups = _groups(what, shape, axis, self.group_size)
        packed = operand(f"{what}: packed", self.packed)
        palettes = operand(f"{what}: palettes", self.palettes)
        expect_dtype(f"{what}: packed", packed, np.uint8)
        expect_dtype(f"{what}: palettes", palettes, *FLOATS)
        size = int(np.prod(shape, dtype=np.int64))
        expect_shape(f"{what}: packed", packed, (-(-size * self.bits // 8),))
        expect_shape(f"{what}: palettes", palettes, (groups, 1 << self.bits))
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "axis", axis)
        object.__setattr__(self, "packed", np.ascontiguousarray(packed))
        object.__setattr__(self, "palettes", np.ascontiguousarray(palettes))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the palettes."""
        return self.palettes.dtype

    @property
    def nbytes(self) -> int:
        return self.packed.nbytes + self.palettes.nbytes

    def numbers(self) -> Array:
        """uint8, in the shape of the weights."""
        size = int(np.prod(self.shape, dtype=np.int64))
        return unpack(self.packed, self.bits, size, msb_first=self.msb_first).reshape(self.shape)

    def __repr__(self) -> str:
        groups = len(self.palettes)
        return (
            f"<pymfa.Palettized {self.shape} {self.bits} bits, {groups} "
            f"palette{'s' if groups != 1 else ''} of {self.dtype.name}>"
        )


HOLDERS[Quantized] = ("packed", "scales", "biases", "bits", "group_size", "columns")
HOLDERS[Palettized] = (
    "packed", "palettes", "shape", "bits", "axis", "group_size", "msb_first"
)  # fmt: skip


def quantize(w: Any, *, bits: int = 4, group_size: int = 64) -> Quantized:
    """Affine quantization of (..., rows, columns), exactly as mlx.core.quantize does it.

    Each group of group_size neighbours in a row gets a scale and a bias of w's type, chosen so that
    0 and the value of largest magnitude are met. The last group of a row may be shorter. w is
    float16, bfloat16 or float32 and finite.
    """
    _expect_member("quantize: bits", bits, AFFINE_BITS)
    _expect_member("quantize: group_size", group_size, GROUP_SIZES)
    source = _weights("quantize: w", w)
    if source.ndim < 2:
        raise InvalidValue(f"quantize: w has shape {source.shape}; expected at least two axes")
    *lead, columns = source.shape
    groups = -(-columns // group_size)
    wide = np.empty((*lead, groups * group_size), np.float32)
    wide[..., :columns] = source
    if columns:
        wide[..., columns:] = wide[..., columns - 1, None]  # changes no minimum, no maximum
    wide = wide.reshape(*lead, groups, group_size)

    largest = np.float32((1 << bits) - 1)
    low, high = wide.min(axis=-1, initial=np.inf), wide.max(axis=-1, initial=-np.inf)
    down = np.abs(low) > np.abs(high)
    with np.errstate(over="ignore"):
        scale = np.maximum((high - low) / largest, np.float32(1e-7))
    scale = np.where(down, scale, -scale)
    edge = np.where(down, low, high)
    steps = np.rint(edge / scale)
    some = steps != 0
    scale = np.where(some, edge / np.where(some, steps, 1), scale)
    bias = np.where(some, edge, np.float32(0))
    wide -= bias[..., None]
    wide /= scale[..., None]
    numbers = np.clip(np.rint(wide, out=wide), 0, largest).astype(np.uint8)

    words = -(-columns // 32) * 32
    room = np.zeros((*lead, words), np.uint8)
    room[..., :columns] = numbers.reshape(*lead, groups * group_size)[..., :columns]
    stream = np.frombuffer(pack(room, bits).tobytes(), "<u4")
    packed = stream.reshape(*lead, words * bits // 32).astype(np.uint32)
    with np.errstate(over="ignore"):
        scales, biases = scale.astype(source.dtype), bias.astype(source.dtype)
    return Quantized(packed, scales, biases, bits, group_size, columns)


def palettize(
    w: Any,
    *,
    bits: int = 6,
    group_size: int | None = None,
    axis: int = 0,
    msb_first: bool = False,
) -> Palettized:
    """Each weight as the number of its entry in a palette of 2**bits, found by k-means.

    One palette for all of w, or one for every group_size indices of `axis` (channels). Palettes
    have w's type: float16, bfloat16 or float32, finite. Any number of axes.
    """
    _expect_member("palettize: bits", bits, range(1, 9))
    source = _weights("palettize: w", w)
    if source.ndim == 0:
        raise InvalidValue("palettize: w is a scalar; expected at least one axis")
    axis = _axis("palettize", axis, source.ndim)
    groups = _groups("palettize", source.shape, axis, group_size)
    step = source.shape[axis] if group_size is None else group_size
    palettes = np.zeros((groups, 1 << bits), source.dtype)
    numbers = np.empty(source.shape, np.uint8)
    for i in range(groups):
        part = (slice(None),) * axis + (slice(i * step, (i + 1) * step),)
        palettes[i], numbers[part] = cluster(source[part], 1 << bits)
    packed = pack(numbers.reshape(-1), bits, msb_first=msb_first)
    return Palettized(packed, palettes, source.shape, bits, axis, group_size, msb_first)


def dequantize(w: Quantized | Palettized, dtype: DTypeLike | None = None) -> Array:
    """The weights that qgemm computes with, rounded once to dtype (default: that of w's scales)."""
    if not isinstance(w, (Quantized, Palettized)):
        raise InvalidType(
            f"dequantize: w is a {type(w).__name__}; expected what quantize or palettize returned"
        )
    target = _TYPES[float_type("dequantize: dtype", w.dtype if dtype is None else dtype)]
    numbers = w.numbers()
    if isinstance(w, Quantized):
        every = np.arange(w.shape[-1]) // w.group_size
        # Exact: the kernel multiplies and adds with a single rounding to float32.
        scale, bias = (x.astype(np.float64)[..., every] for x in (w.scales, w.biases))
        with np.errstate(over="ignore"):
            return (numbers * scale + bias).astype(np.float32).astype(target)
    step = w.group_size or max(w.shape[w.axis], 1)
    group = (np.arange(w.shape[w.axis]) // step).reshape(-1, *[1] * (len(w.shape) - w.axis - 1))
    with np.errstate(over="ignore"):
        return w.palettes[group, numbers].astype(target)


def _weights(name: str, value: Any) -> Array:
    array = operand(name, value)
    expect_dtype(name, array, *FLOATS)
    if not np.isfinite(array).all():
        raise InvalidValue(f"{name} has values that are not finite; expected numbers")
    return array


def _axis(what: str, axis: int, dims: int) -> int:
    if not -dims <= axis < dims:
        raise InvalidValue(f"{what}: axis is {axis}; expected one of {dims} axes")
    return axis % dims


def _groups(what: str, shape: tuple[int, ...], axis: int, size: int | None) -> int:
    if size is None:
        return 1
    if size < 1:
        raise InvalidValue(f"{what}: group_size is {size}; expected at least 1, or None for one")
    return -(-shape[axis] // size)


def _expect_member(name: str, value: Any, allowed: Any) -> None:
    if value not in allowed:
        raise InvalidValue(f"{name} is {value!r}; expected one of {', '.join(map(str, allowed))}")
