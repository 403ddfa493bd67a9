# SPDX-License-Identifier: MIT
"""Keys and values as integers of 8 or 4 bits, with a scale and a bias for each group of a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .arrays import FLOATS, Array, expect_dtype, operand
from .errors import InvalidValue
from .replay import HOLDERS


@dataclass(frozen=True)
class QuantizedKV:
    """What attention_decode takes instead of an array for k or v.

    An element is scale * n + bias. `values` are uint8, D * bits / 8 to a row; with 4 bits the lower
    half of a byte comes first. `scales` and `biases` have D / group_size elements to a row.
    """

    values: Array
    scales: Array
    biases: Array
    bits: int
    group_size: int

    @property
    def width(self) -> int:
        """D."""
        return int(self.values.shape[-1]) * 8 // self.bits

    def numbers(self) -> Array:
        """The integers, one to an element."""
        if self.bits == 8:
            return self.values
        halves = np.stack([self.values & 15, self.values >> 4], axis=-1)
        return halves.reshape(*self.values.shape[:-1], -1)

    def dequantize(self) -> Array:
        """As float32."""
        scales, biases = (
            np.repeat(x.astype(np.float32), self.group_size, axis=-1)
            for x in (self.scales, self.biases)
        )
        return self.numbers().astype(np.float32) * scales + biases


HOLDERS[QuantizedKV] = ("values", "scales", "biases", "bits", "group_size")


def expect_form(name: str, bits: Any, group_size: Any) -> None:
    if bits not in (4, 8):
        raise InvalidValue(f"{name}: bits is {bits!r}; expected 4 or 8")
    if group_size not in (32, 64):
        raise InvalidValue(f"{name}: group_size is {group_size!r}; expected 32 or 64")


def quantize_kv(x: Any, *, bits: int = 8, group_size: int = 64, dtype: Any = None) -> QuantizedKV:
    """Each group of a row between its smallest and its largest number, in 2**bits - 1 equal steps.

    x is a float array whose last axis is a multiple of group_size (32 or 64). dtype is that of
    scales and biases: by default float32 for float32, else that of x.
    """
    array = operand("quantize_kv: x", x)
    expect_dtype("quantize_kv: x", array, *FLOATS)
    expect_form("quantize_kv", bits, group_size)
    if array.ndim == 0 or array.shape[-1] % group_size or array.shape[-1] == 0:
        raise InvalidValue(
            f"quantize_kv: x has shape {array.shape}; expected a multiple of {group_size} columns"
        )
    stored = array.dtype if dtype is None else np.dtype(dtype)
    expect_dtype("quantize_kv: dtype", np.empty(0, stored), *FLOATS)
    groups = array.astype(np.float32).reshape(*array.shape[:-1], -1, group_size)
    low, high = groups.min(axis=-1), groups.max(axis=-1)
    steps = 2**bits - 1
    scales = ((high - low) / steps).astype(stored)
    biases = low.astype(stored)
    scale = scales.astype(np.float32)[..., None]
    offset = groups - biases.astype(np.float32)[..., None]
    numbers = np.rint(np.divide(offset, scale, out=np.zeros_like(offset), where=scale != 0))
    values = np.clip(numbers, 0, steps).astype(np.uint8).reshape(array.shape)
    if bits == 4:
        values = values[..., ::2] | values[..., 1::2] << 4
    return QuantizedKV(values, scales, biases, bits, group_size)
