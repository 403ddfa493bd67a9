# SPDX-License-Identifier: MIT
"""Convolutions as MLX's host code asks for them, and the product they have to come to."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from tolerance import Gemm, assert_within, random


def windows(x: Any, size: tuple[int, ...], stride: int, pad: int, dilation: int = 1) -> Any:
    """(batch, spatial..., channels) -> (batch, outputs..., window..., channels)."""
    space = range(1, x.ndim - 1)
    x = np.pad(x, [(pad, pad) if axis in space else (0, 0) for axis in range(x.ndim)])
    reach = tuple((s - 1) * dilation + 1 for s in size)
    view = np.lib.stride_tricks.sliding_window_view(x, reach, axis=tuple(space))
    view = np.moveaxis(view, x.ndim - 1, -1)  # channels last
    steps = [slice(None)] + [slice(None, None, stride)] * len(size)
    return view[tuple(steps + [slice(None, None, dilation)] * len(size))]


def params(
    x: Any, w: Any, y: Any, stride: int, pad: int, dilation: int = 1, groups: int = 1
) -> bytes:
    """struct MLXConvParams for so many spatial dimensions as the arrays have."""
    n = x.ndim - 2
    ints = [x.shape[0], x.shape[-1], y.shape[-1], *x.shape[1:-1], *w.shape[1:-1], *y.shape[1:-1]]
    ints += [stride] * n + [pad] * n + [dilation] * n + [1] * n
    data = struct.pack(f"<{len(ints)}i", *ints)
    data = data.ljust(-(-len(data) // 8) * 8, b"\0")
    strides = [s // a.itemsize for a in (x, w, y) for s in a.strides]
    return data + struct.pack(f"<{len(strides)}qi4x", *strides, groups)


class Case:
    """Random data, and the product over unfolded windows that every algorithm has to come to."""

    def __init__(
        self, dtype: Any, shape: tuple[int, ...], outputs: int, size: tuple[int, ...],
        stride: int, pad: int, dilation: int = 1,
    ) -> None:  # fmt: skip
        rng = np.random.default_rng(len(shape) + stride)
        self.x = random(rng, shape, dtype)
        self.w = random(rng, (outputs, *size, shape[-1]), dtype)
        self.unfolded = windows(self.x, size, stride, pad, dilation)
        space = self.unfolded.shape[1 : len(shape) - 1]
        self.y = np.zeros((shape[0], *space, outputs), dtype)
        rows = self.unfolded.reshape(shape[0] * int(np.prod(space)), -1)
        self.reference = Gemm(rows, np.ascontiguousarray(self.w.reshape(outputs, -1).T))
        self.params = params(self.x, self.w, self.y, stride, pad, dilation)

    def check(self, what: str) -> None:
        y = self.y.reshape(-1, self.y.shape[-1])
        assert_within(y, self.reference.expected, self.reference.tolerance, what)


def implicit_gemm(case: Case, width: int, dilation: int) -> tuple[str, dict[str, Any]]:
    """The kernel for 3 x 3 windows with tiles of `width` columns, and how it is launched."""
    channels, n = case.x.shape[-1], case.y.shape[-1]
    m, rows, columns = case.y.size // n, *((4, 1) if width == 8 else (2, 2))
    small = channels > 4
    rounds = 9 * (channels // 16) if small else -(-(9 * (4 if channels == 3 else channels)) // 16)
    step_w, step_h = channels * dilation, case.x.shape[2] * channels * dilation
    jumps = (step_w, step_h - 2 * step_w, 16 - 2 * step_h - 2 * step_w)
    tiles = (-(-n // width), -(-m // 32))
    gemm = struct.pack("<10i", m, n, 9 * channels, rounds, *jumps, *tiles, 0)
    kernel = f"implicit_gemm_conv_2d_{case.x.dtype}_bm32_bn{width}_bk16_wm{rows}_wn{columns}"
    kernel += f"_channel_{'l' if small else channels}_filter_{'s' if small else 'l'}"
    buffers = {0: case.x, 1: case.w, 2: case.y, 3: case.params, 4: gemm}
    return kernel, {"buffers": buffers, "groups": (*tiles, 1), "group": (32, columns, rows)}
