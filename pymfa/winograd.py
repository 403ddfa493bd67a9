# SPDX-License-Identifier: MIT
"""Weights of 3x3 windows, transformed once for many convolutions by Winograd's algorithm."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import native
from .arrays import FLOATS, Array, expect_dtype, operand
from .encode import convolution as encoder
from .errors import InvalidValue
from .hardware import Device
from .ops import find
from .quantized import Palettized
from .replay import HOLDERS


class WinogradWeights:
    """What pymfa.convolution takes instead of w, to save the transform of the weights each time.

    w is (output channels, 3, 3, channels / groups), an array or what pymfa.palettize returned. The
    result has 25 / 9 times as many elements as w, in float32.
    """

    def __init__(self, w: Any, *, groups: int = 1, device: Device | str | None = None) -> None:
        name = "WinogradWeights"
        if not isinstance(w, Palettized):
            w = operand(f"{name}: w", w)
            expect_dtype(f"{name}: w", w, *FLOATS)
        self.dtype = w.dtype
        self.groups = groups
        self.shape = tuple(w.shape)
        if len(self.shape) != 4:
            raise InvalidValue(f"{name}: w has shape {self.shape}; expected 4 dimensions")
        stored = encoder.stored_weights(name, w, w.dtype)
        desc = encoder.describe(
            (1, *self.shape[1:3], self.shape[-1] * groups), self.shape, self.dtype.name, stride=1,
            padding=0, dilation=1, groups=groups, transposed=False, output_padding=0,
            activation=None, algorithm="winograd",
        )  # fmt: skip
        stored.describe(desc)
        size = native.out("uint64_t")
        native.call("mfa_convolution_weights_size", desc, size)
        element = np.dtype(np.float32)
        found = find(device, stored.data)
        data = found.empty(int(size[0]) // element.itemsize, element)
        packed = np.ascontiguousarray(stored.data)
        with found.commands() as commands:
            operands = encoder.place(
                commands, data, weights=packed, palette=stored.palettes, result=data
            )
            native.operation("mfa_convolution_weights", commands.handle, desc, operands)
        self.data: Array = data

    @property
    def nbytes(self) -> int:
        return int(self.data.nbytes)

    def __repr__(self) -> str:
        return f"<pymfa.WinogradWeights {self.shape} for {self.dtype.name}, {self.nbytes} bytes>"


HOLDERS[WinogradWeights] = ("data", "shape", "dtype", "groups")
