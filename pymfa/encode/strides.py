# SPDX-License-Identifier: MIT
"""Strides of arrays in the terms of the C ABI: leading dimensions, batch strides, broadcasts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from .. import native
from ..arrays import Array, element_strides
from ..errors import InvalidValue


@dataclass(frozen=True)
class Matrix:
    """The last two axes of an array: rows that follow each other every `ld` elements."""

    transposed: bool  # what lies in memory as rows are the columns
    ld: int


def matrix(array: Array) -> Matrix | None:
    """None where neither rows nor columns are contiguous."""
    (rows, columns), (row, column) = array.shape[-2:], element_strides(array)[-2:]
    if array.size == 0:
        return Matrix(False, max(columns, 1))
    if (column == 1 or columns <= 1) and (row >= columns or rows <= 1):
        return Matrix(False, row if rows > 1 else max(columns, 1))
    if (row == 1 or rows <= 1) and (column >= rows or columns <= 1):
        return Matrix(True, column if columns > 1 else max(rows, 1))
    return None


def in_place(name: str, array: Array, *, usable: bool, copy: bool) -> Array:
    """The array itself, or a copy where the caller can take one."""
    if usable:
        return array
    if copy:
        return np.ascontiguousarray(array)
    raise InvalidValue(
        f"{name} has shape {array.shape} and strides of {array.strides} bytes, which no kernel "
        "reads in place; expected a contiguous last axis (commands do not copy: see "
        "numpy.ascontiguousarray)"
    )


def stride(step: int, size: int) -> int:
    """A step of the C ABI: 0 means default there, so a repeated axis has a name of its own."""
    if size <= 1:
        return 0
    return native.number("MFA_BROADCAST") if step == 0 else step


@dataclass(frozen=True)
class Batch:
    """`count` steps of `steps` elements each, for several arrays; offsets count elements too."""

    count: int
    steps: tuple[int, ...]
    offsets: list[tuple[int, ...]]


def batches(shape: Sequence[int], steps: Sequence[Sequence[int]], *, repeats: bool = True) -> Batch:
    """Joins leading axes into one where all arrays allow it; the others become offsets.

    `steps` has the strides of each array along `shape`, 0 where it is repeated. Without `repeats`
    the joined axis repeats no array.
    """
    axes = [(n, tuple(s[i] for s in steps)) for i, n in enumerate(shape) if n != 1]
    joined: list[tuple[int, tuple[int, ...]]] = []
    for size, step in axes:
        if joined and joined[-1][1] == tuple(s * size for s in step):
            joined[-1] = (joined[-1][0] * size, step)
        else:
            joined.append((size, step))
    if not joined:
        return Batch(1, (0,) * len(steps), [(0,) * len(steps)])
    lowest = 0 if repeats else 1
    if min(joined[-1][1]) < lowest:  # what is not possible as a step is possible as an offset
        joined.append((1, (0,) * len(steps)))
    count, last = joined.pop()
    return Batch(count, last, list(_offsets(joined, len(steps))))


def _offsets(axes: Sequence[tuple[int, tuple[int, ...]]], arrays: int) -> Iterator[tuple[int, ...]]:
    for index in np.ndindex(*(size for size, _ in axes)):
        yield tuple(
            sum(i * step[a] for i, (_, step) in zip(index, axes, strict=True))
            for a in range(arrays)
        )


def lead_steps(array: Array, lead: tuple[int, ...]) -> list[int]:
    """Element strides along the leading axes, 0 where the array is repeated."""
    own = [
        0 if n == 1 else s // array.itemsize
        for n, s in zip(array.shape[:-2], array.strides[:-2], strict=True)
    ]
    return [0] * (len(lead) - len(own)) + own


def per_row(bias: Array, shape: tuple[int, ...]) -> bool:
    """One value for each row of the output, not for each column."""
    return bool(bias.shape[-2] > 1 or bias.shape[-1] != shape[-1])


def matrix_bias(name: str, bias: Array, shape: tuple[int, ...]) -> Array:
    """[..., 1, N] to add to each row of a product or [..., M, 1] to add to each column."""
    bias = bias[None, :] if bias.ndim == 1 else bias
    try:
        fits = np.broadcast_shapes(bias.shape, shape) == shape and bias.shape[-2:] in (
            (1, shape[-1]),
            (shape[-2], 1),
        )
    except ValueError:
        fits = False
    if not fits:
        raise InvalidValue(
            f"{name}: bias has shape {bias.shape}; expected ({shape[-1]},), ({shape[-2]}, 1) or a "
            f"batch of these for an output of {shape}"
        )
    axis = -2 if per_row(bias, shape) else -1
    if bias.shape[axis] > 1 and bias.strides[axis] != bias.itemsize:
        raise InvalidValue(
            f"{name}: bias has strides of {bias.strides} bytes; expected contiguous values"
        )
    return bias
