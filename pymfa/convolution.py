# SPDX-License-Identifier: MIT
"""Convolution of arrays with channels last, in 1, 2 and 3 dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from . import native
from .arrays import Array
from .encode import convolution as encoder
from .hardware import Device
from .ops import find
from .problem import float_type


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
    w may also be what pymfa.palettize returned, with palettes of x's type for all or for groups of
    output channels, or a pymfa.WinogradWeights. algorithm is "auto", "direct" or "winograd" (for
    windows of 3x3 with stride 1; how far results differ is in docs/convolution.md). activation is
    "relu", "gelu", "gelu_tanh" or "silu". Arrays that are not packed are copied first.
    """
    return encoder.encode.run(
        find(device, x, w, out), x, w, stride=stride, padding=padding, dilation=dilation,
        groups=groups, transposed=transposed, output_padding=output_padding, bias=bias,
        activation=activation, algorithm=algorithm, out=out,
    )  # fmt: skip


@dataclass(frozen=True)
class ConvolutionDesc:
    """A convolution of data of shape x with weights of shape w, for Device.explain and prepare.

    `palette_bits`: weights are palettized. `transformed`: they are pymfa.WinogradWeights.
    """

    x: tuple[int, ...]
    w: tuple[int, ...]
    dtype: Any = "float16"
    stride: int | Sequence[int] = 1
    padding: str | int | Sequence[Any] = 0
    dilation: int | Sequence[int] = 1
    groups: int = 1
    transposed: bool = False
    output_padding: int | Sequence[int] = 0
    bias: bool = False
    activation: str | None = None
    algorithm: str = "auto"
    palette_bits: int = 0
    transformed: bool = False

    def to_native(self) -> Any:
        desc = encoder.describe(
            self.x, self.w, float_type("dtype", self.dtype), stride=self.stride,
            padding=self.padding, dilation=self.dilation, groups=self.groups,
            transposed=self.transposed, output_padding=self.output_padding,
            activation=self.activation, algorithm=self.algorithm,
        )  # fmt: skip
        if self.palette_bits:
            desc.weights = native.number("MFA_WEIGHTS_PALETTIZED")
            desc.palette_bits = self.palette_bits
        elif self.transformed:
            desc.weights = native.number("MFA_WEIGHTS_WINOGRAD")
        problem = native.struct(
            "mfa_problem", desc=desc, operation=native.number("MFA_OPERATION_CONVOLUTION"),
            has_bias=self.bias,
        )  # fmt: skip
        return native.keep(problem, desc)
