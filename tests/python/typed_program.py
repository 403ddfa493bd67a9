# SPDX-License-Identifier: MIT
"""Every public name with its types, as `mypy --strict` sees them; test_typing.py checks it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import pymfa

Array = NDArray[Any]


def devices_and_memory() -> tuple[Array, pymfa.Device]:
    found: tuple[pymfa.Device, ...] = pymfa.devices()
    device: pymfa.Device = pymfa.device(found[0].name)
    x: Array = device.empty((4, 4), np.float32)
    buffer: pymfa.Buffer = device.buffer(x)
    again: Array = buffer.array((4, 4), "float32")
    exported = pymfa.as_dlpack(again)
    assert exported.__dlpack_device__() == (1, 0)
    kind: np.dtype[Any] = pymfa.bfloat16
    assert kind.itemsize == 2
    return x, device


def products(x: Array, device: pymfa.Device) -> Array:
    half: Array = pymfa.cast(x, np.float16, device=device)
    wide: Array = pymfa.sgemm(x, x, trans_b=True, alpha=2.0, bias=x[0], activation="relu")
    pymfa.hgemm(half, half, out=half.copy())
    pymfa.bgemm(pymfa.cast(x, pymfa.bfloat16), pymfa.cast(x, pymfa.bfloat16))
    quantized: pymfa.Quantized = pymfa.quantize(np.ones((8, 64), np.float32), bits=4)
    palettized: pymfa.Palettized = pymfa.palettize(np.ones((8, 64), np.float32), bits=6)
    for weights in (quantized, palettized):
        decoded: Array = pymfa.dequantize(weights)
        wide = pymfa.qgemm(decoded, weights)
    return wide


def attentions(q: Array, device: pymfa.Device) -> Array:
    o, lse = pymfa.attention(q, q, q, causal=True, window=(3, None), return_lse=True, device=device)
    dq, dk, dv = pymfa.attention_backward(o, q, q, q, o, lse, causal="lower_right")
    cached: pymfa.QuantizedKV = pymfa.quantize_kv(q)
    pymfa.attention_decode(q[:, :, :1], cached, cached, lengths=[4])
    merged, _ = pymfa.merge_attention(o, lse, o, lse)
    packed, sums = pymfa.attention_varlen(q[0], q[0], q[0], [0, 2], [0, 2], return_lse=True)
    pymfa.attention_varlen_backward(packed, q[0], q[0], q[0], packed, sums, [0, 2], [0, 2])
    result: Array = pymfa.scaled_dot_product_attention(q, q, q, is_causal=True)
    result += merged + dq + dk + dv
    return result


def convolutions(x: Array, w: Array) -> Array:
    transformed = pymfa.WinogradWeights(w)
    size: int = transformed.nbytes
    assert size
    y: Array = pymfa.convolution(x, w, padding="same", stride=(1, 1), algorithm="direct")
    y += pymfa.convolution(x, transformed, padding=1)
    return y


def batch(device: pymfa.Device, x: Array) -> float:
    commands: pymfa.Commands
    with device.commands(label="batch") as commands:
        y: Array = commands.sgemm(x, x)
        commands.cast(y, np.float16)
    finished: bool = commands.wait(1.0)
    assert finished
    return commands.gpu_time


def kernels(device: pymfa.Device) -> None:
    library: pymfa.Library = device.library(source="kernel void f(device float *x) { x[0] = 1; }")
    function: pymfa.Function = library.function(library.functions[0])
    arguments: tuple[pymfa.Argument, ...] = function.arguments
    constants: tuple[pymfa.Constant, ...] = function.constants
    assert arguments and not constants
    pipeline: pymfa.Pipeline = library.pipeline("f", {})
    with device.commands() as commands:
        commands.dispatch(pipeline, buffers={0: np.zeros(1, np.float32)}, threads=1)


def questions(device: pymfa.Device) -> None:
    problems: list[pymfa.Problem] = [
        pymfa.GemmDesc(M=4, N=4, K=4, dtype=np.float16),
        pymfa.QgemmDesc(M=4, N=4, K=64),
        pymfa.AttentionDesc(4, 4, 32),
        pymfa.AttentionBackwardDesc(pymfa.AttentionDesc(4, 4, 32)),
        pymfa.ConvolutionDesc((1, 4, 4, 4), (4, 3, 3, 4)),
    ]
    preparation: pymfa.Preparation = device.prepare(problems, progress=lambda _done, _count: True)
    assert preparation.done == preparation.count
    recording: pymfa.Recording = pymfa.record(pymfa.cast, np.ones(8, np.float32), np.float16)
    recorded: pymfa.Recorded = recording[0]
    operation: str = recorded.operation
    assert operation
    device.prepare(recording, wait=False).cancel()
    more: list[type[Any]] = [pymfa.CastDesc, pymfa.DecodeDesc]
    assert more
    for problem in problems:
        explanation: pymfa.Explanation = pymfa.explain(problem)
        possible, reason = pymfa.supported(problem)
        word: str = reason
        assert (possible or word) and explanation


def failures() -> list[type[pymfa.Error]]:
    kinds: list[type[pymfa.Error]] = [
        pymfa.Cancelled, pymfa.Failure, pymfa.InvalidType, pymfa.InvalidValue, pymfa.OutOfMemory,
        pymfa.Unsupported,
    ]  # fmt: skip
    return kinds
