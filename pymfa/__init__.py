# SPDX-License-Identifier: MIT
"""Matrix products, attention and any Metal kernel, on Apple GPUs and on every CPU."""

from . import native
from .arrays import bfloat16
from .buffer import Buffer
from .cache import QuantizedKV, quantize_kv
from .commands import Commands
from .convolution import ConvolutionDesc, convolution
from .decoding import (
    attention_decode,
    attention_varlen,
    attention_varlen_backward,
    merge_attention,
)
from .dlpack import as_dlpack
from .errors import (
    Cancelled,
    Error,
    Failure,
    InvalidType,
    InvalidValue,
    OutOfMemory,
    Unsupported,
)
from .hardware import Device, device, devices
from .library import Argument, Constant, Function, Library, Pipeline
from .ops import (
    attention,
    attention_backward,
    bgemm,
    cast,
    hgemm,
    qgemm,
    scaled_dot_product_attention,
    sgemm,
)
from .preparation import Preparation
from .problem import (
    AttentionBackwardDesc,
    AttentionDesc,
    CastDesc,
    DecodeDesc,
    Explanation,
    GemmDesc,
    Problem,
    QgemmDesc,
)
from .quantized import Palettized, Quantized, dequantize, palettize, quantize
from .recording import Recorded, Recording, record
from .winograd import WinogradWeights


def explain(problem: Problem) -> Explanation:
    """How the default device would do it."""
    return device().explain(problem)


def supported(problem: Problem) -> tuple[bool, str]:
    """Whether the default device can do it, and why not."""
    return device().supported(problem)


def __getattr__(name: str) -> str:
    if name == "__version__":
        return native.version()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "Argument",
    "AttentionBackwardDesc",
    "AttentionDesc",
    "Buffer",
    "Cancelled",
    "CastDesc",
    "Commands",
    "Constant",
    "ConvolutionDesc",
    "DecodeDesc",
    "Device",
    "Error",
    "Explanation",
    "Failure",
    "Function",
    "GemmDesc",
    "InvalidType",
    "InvalidValue",
    "Library",
    "OutOfMemory",
    "Palettized",
    "Pipeline",
    "Preparation",
    "Problem",
    "QgemmDesc",
    "Quantized",
    "QuantizedKV",
    "Recorded",
    "Recording",
    "Unsupported",
    "WinogradWeights",
    "as_dlpack",
    "attention",
    "attention_backward",
    "attention_decode",
    "attention_varlen",
    "attention_varlen_backward",
    "bfloat16",
    "bgemm",
    "cast",
    "convolution",
    "dequantize",
    "device",
    "devices",
    "explain",
    "hgemm",
    "merge_attention",
    "palettize",
    "qgemm",
    "quantize",
    "quantize_kv",
    "record",
    "scaled_dot_product_attention",
    "sgemm",
    "supported",
]
