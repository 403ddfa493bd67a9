# SPDX-License-Identifier: MIT
"""Turns what a caller passed into NumPy views without copying, or names the bad argument."""

from __future__ import annotations

from typing import Any, TypeAlias

import ml_dtypes
import numpy as np
from numpy.typing import DTypeLike, NDArray

from . import native
from .dlpack import from_dlpack
from .errors import InvalidType, InvalidValue

Array: TypeAlias = NDArray[Any]

bfloat16 = np.dtype(ml_dtypes.bfloat16)
_uint16 = np.dtype(np.uint16)
FLOATS = (np.dtype(np.float16), np.dtype(np.float32), bfloat16)
_OVERLAP_WORK = 10_000  # steps numpy.shares_memory may take before "maybe" counts as "yes"


def view(name: str, value: Any) -> Array:
    """A NumPy array over the memory of `value`: an array, a buffer or a DLPack tensor."""
    if isinstance(value, np.ndarray):
        return value
    if hasattr(value, "__array_interface__"):
        return np.asarray(value)
    if hasattr(value, "__dlpack__"):
        return from_dlpack(name, value)
    try:
        memory = memoryview(value)
    except TypeError:
        raise InvalidType(
            f"{name} is a {type(value).__name__}; expected an array, a buffer or a DLPack tensor"
        ) from None
    return np.asarray(memory)


def operand(name: str, value: Any, *, dims: int | None = None) -> Array:
    """A view whose strides count whole elements, in native byte order."""
    array = view(name, value)
    if not array.dtype.isnative:
        raise InvalidType(f"{name} has byte order {array.dtype.str}; expected native")
    if dims is not None and array.ndim != dims:
        raise InvalidValue(f"{name} has shape {array.shape}; expected {dims} dimensions")
    if any(stride % array.itemsize for stride in array.strides):
        raise InvalidValue(f"{name} has strides of {array.strides} bytes; expected whole elements")
    return array


def expect_dtype(name: str, array: Array, *allowed: DTypeLike) -> None:
    if array.dtype not in [np.dtype(d) for d in allowed]:
        names = ", ".join(np.dtype(d).name for d in allowed)
        raise InvalidType(f"{name} has dtype {array.dtype.name}; expected {names}")


def expect_shape(name: str, array: Array, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise InvalidValue(f"{name} has shape {array.shape}; expected {shape}")


def expect_output(name: str, array: Array, **inputs: Array | None) -> None:
    """An output can be written, element by element, without touching an input."""
    if not array.flags.writeable:
        raise InvalidValue(f"{name} is read-only; expected memory that can be written")
    if _overlaps_itself(array):
        raise InvalidValue(
            f"{name} has shape {array.shape} and strides {array.strides}: its elements overlap"
        )
    for other, value in inputs.items():
        if value is not None and overlap(array, value):
            raise InvalidValue(f"{name} overlaps {other}; expected separate memory")


def overlap(a: Array, b: Array) -> bool:
    try:
        return bool(np.shares_memory(a, b, max_work=_OVERLAP_WORK))  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True


def address(array: Array) -> int:
    """Of its first element."""
    if array.flags.c_contiguous:  # in a third of the time
        dtype = array.dtype
        if dtype is bfloat16:  # which has no buffer protocol
            return native.address_of(array.view(_uint16))
        if dtype.kind in "fbiu":
            return native.address_of(array)
    return int(array.ctypes.data)


def bounds(array: Array) -> tuple[int, int]:
    """Addresses of the first byte that the array reaches and of the one after the last."""
    start = address(array)
    low, high = reach(array)
    return start + low, start + high


def reach(array: Array) -> tuple[int, int]:
    """The same, counted from the array's first element."""
    if array.size == 0:
        return 0, 0
    steps = [s * (n - 1) for s, n in zip(array.strides, array.shape, strict=True)]
    return sum(s for s in steps if s < 0), sum(s for s in steps if s > 0) + array.itemsize


def element_strides(array: Array) -> tuple[int, ...]:
    return tuple(stride // array.itemsize for stride in array.strides)


def _overlaps_itself(array: Array) -> bool:
    """True where two elements share memory. Large arrays that interleave axes count as such."""
    reach = array.itemsize
    axes = [(abs(s), n) for s, n in zip(array.strides, array.shape, strict=True) if n > 1]
    for stride, size in sorted(axes):
        if stride < reach:
            return array.size > 0 and (array.size > _OVERLAP_WORK or _repeats(axes))
        reach += stride * (size - 1)
    return False


def _repeats(axes: list[tuple[int, int]]) -> bool:
    offsets = np.zeros(1, np.int64)
    for stride, size in axes:
        offsets = np.add.outer(offsets, stride * np.arange(size)).ravel()
    return len(np.unique(offsets)) < len(offsets)
