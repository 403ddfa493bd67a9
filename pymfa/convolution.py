# SPDX-License-Identifier: MIT
"""Convolution of arrays with channels last, in 1, 2 and 3 dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .arrays import Array
from .encode import convolution as encoder
from .hardware import Device
from .ops import find


def convolution(
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
    device: Device | str | None = None,
) -> Array:
    """activation(x convolved with w + bias), summed in float32; float16, bfloat16 or float32.

    x is (images, spatial..., channels), w is (output channels, window..., channels / groups), bias
    is (output channels,), the result (images, spatial..., output channels); there are 1 to 3
    spatial dimensions. stride, dilation and padding are one number or one per dimension; padding
    may also be pairs (before, behind), "valid" (none) or "same" (an output is ceil(input /
    stride)). With groups, a part of the output channels sees a part of the input channels;
    groups = channels is depthwise. transposed spreads each input over a window of outputs, as
    torch.nn.functional.conv_transpose2d, with weights in the same order of axes as otherwise.
    algorithm is "auto", "direct" or "winograd" (for windows of 3x3 with stride 1). activation is
    "relu", "gelu", "gelu_tanh" or "silu". Arrays that are not packed are copied first.
    """
    with find(device, x, w, out).commands() as commands:
        return encoder.encode(
            commands, x, w, stride=stride, padding=padding, dilation=dilation, groups=groups,
            transposed=transposed, output_padding=output_padding, bias=bias,
            activation=activation, algorithm=algorithm, out=out, copy=True,
        )  # fmt: skip
