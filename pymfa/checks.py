# SPDX-License-Identifier: MIT
"""Every operation on small real input, with the float64 result that NumPy gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .arrays import Array, bfloat16
from .cache import quantize_kv
from .convolution import convolution
from .decoding import attention_decode, attention_varlen, merge_attention
from .hardware import Device
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
from .quantized import dequantize, palettize, quantize
from .winograd import WinogradWeights

_SOURCE = """
#include <metal_stdlib>
using namespace metal;
kernel void triple(device float *x [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  x[i] = 3 * x[i] + simd_sum(0.0f);
}
"""
# Rounding of the storage type, of sums of a few hundred float32 products, and room to spare.
_CLOSE = {"float16": 2.0**-9, "bfloat16": 2.0**-6, "float32": 2.0**-18}


@dataclass(frozen=True)
class Check:
    """`run` computes on a device what `expected` says."""

    name: str
    run: Callable[[Device], Any]
    expected: tuple[Array, ...]

    def verdict(self, tested: Device) -> tuple[bool, str]:
        """Whether the results are right, and how far off they are in words."""
        results = self.run(tested)
        results = results if isinstance(results, tuple) else (results,)
        worst, allowed = 0.0, 0.0
        for actual, expected in zip(results, self.expected, strict=True):
            error = float(np.abs(actual.astype(np.float64) - expected).max())
            limit = _CLOSE[actual.dtype.name] * max(1.0, float(np.abs(expected).max()))
            if not error <= limit:  # also where it is NaN
                return False, f"off by {error:.1e}, {limit:.1e} allowed"
            if error >= worst:
                worst, allowed = error, limit
        return True, f"off by {worst:.1e}, {allowed:.1e} allowed"


@cache
def all_checks() -> tuple[Check, ...]:
    return (
        _gemm("hgemm", hgemm, np.float16),
        _gemm("bgemm", bgemm, bfloat16),
        _gemm("sgemm", sgemm, np.float32),
        *_qgemm(),
        *_attention(),
        _backward(),
        *_caches(),
        *_convolutions(),
        *_casts(),
        _pipeline(),
    )


@cache
def source_check() -> Check:
    """A kernel that is compiled from source first, which needs the compiler."""

    def run(tested: Device) -> Array:
        x = np.arange(100, dtype=np.float32)
        pipeline = tested.library(source=_SOURCE).pipeline("triple")
        with tested.commands() as commands:
            commands.dispatch(pipeline, buffers={0: x}, threads=100, threads_per_threadgroup=64)
        return x

    return Check("kernel from source", run, (3.0 * np.arange(100),))


def missing_compiler(error: Exception) -> bool:
    return "compiler is not installed" in str(error)


def _random(shape: tuple[int, ...], dtype: DTypeLike, seed: int) -> Array:
    numbers = np.random.default_rng(seed).standard_normal(shape)
    return (numbers / 4).astype(np.float32).astype(dtype)


def _wide(*arrays: Array) -> tuple[Array, ...]:
    return tuple(x.astype(np.float64) for x in arrays)


def _gemm(name: str, product: Callable[..., Array], dtype: DTypeLike) -> Check:
    a, b = _random((67, 100), dtype, 1), _random((45, 100), dtype, 2)
    bias = _random((45,), dtype, 3)
    a64, b64, bias64 = _wide(a, b, bias)
    return Check(
        name,
        lambda on: product(a, b, trans_b=True, bias=bias, activation="relu", device=on),
        (np.maximum(a64 @ b64.T + bias64, 0),),
    )


def _qgemm() -> list[Check]:
    x, w = _random((9, 128), np.float16, 1), _random((40, 128), np.float16, 2)
    found = []
    for name, weights in (
        ("qgemm, 4 bits", quantize(w, bits=4)),
        ("qgemm, palette of 6 bits", palettize(w, bits=6)),
    ):
        x64, w64 = _wide(x, dequantize(weights, np.float32))

        def run(on: Device, weights: Any = weights) -> Array:
            return qgemm(x, weights, device=on)

        found.append(Check(name, run, (x64 @ w64.T,)))
    return found


def _weights(q: Array, k: Array, allowed: Array | None = None) -> Array:
    scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
    if allowed is not None:
        scores = np.where(allowed, scores, -np.inf)
    p = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(p / p.sum(axis=-1, keepdims=True))


def _qkv(dtype: DTypeLike, rows: int = 33, columns: int = 33) -> tuple[Array, Array, Array]:
    q = _random((2, 4, rows, 32), dtype, 5)
    return q, _random((2, 4, columns, 32), dtype, 6), _random((2, 4, columns, 32), dtype, 7)


def _attention() -> list[Check]:
    found = []
    for dtype in (np.float16, bfloat16, np.float32):
        q, k, v = _qkv(dtype)
        q64, k64, v64 = _wide(q, k, v)

        def run(on: Device, given: tuple[Array, ...] = (q, k, v)) -> Array:
            result: Array = attention(*given, causal=True, device=on)
            return result

        expected = _weights(q64, k64, np.tri(33, dtype=bool)) @ v64
        found.append(Check(f"attention, {np.dtype(dtype).name}", run, (expected,)))
    q, k, v = _qkv(np.float32, 17, 29)
    mask = _random((17, 29), np.float32, 8) < 0.1
    mask[:, 0] = True
    q64, k64, v64 = _wide(q, k, v)
    masked = _weights(q64, k64, mask) @ v64
    return [
        *found,
        Check("attention, mask", lambda on: attention(q, k, v, mask=mask, device=on), (masked,)),
        Check(
            "scaled_dot_product_attention",
            lambda _on: scaled_dot_product_attention(q, k, v, attn_mask=mask),
            (masked,),
        ),
    ]


def _backward() -> Check:
    q, k, v = _qkv(np.float32, 17, 29)
    do = _random(q.shape, np.float32, 9)
    q64, k64, v64, do64 = _wide(q, k, v, do)
    p = _weights(q64, k64)
    dp = do64 @ np.swapaxes(v64, -1, -2)
    ds = p * (dp - (p * dp).sum(axis=-1, keepdims=True)) / np.sqrt(32)

    def run(on: Device) -> Any:
        o, lse = attention(q, k, v, return_lse=True, device=on)
        return attention_backward(do, q, k, v, o, lse, device=on)

    expected = (ds @ k64, np.swapaxes(ds, -1, -2) @ q64, np.swapaxes(p, -1, -2) @ do64)
    return Check("attention_backward", run, expected)


def _caches() -> list[Check]:
    q, k, v = _qkv(np.float32, 1, 200)
    q64, k64, v64 = _wide(q, k, v)
    packed = [quantize_kv(x, bits=8, group_size=32) for x in (k, v)]
    whole = _weights(q64, k64) @ v64
    rows = [x[0].transpose(1, 0, 2) for x in _qkv(np.float32)]
    starts = np.array([0, 13, 33])
    parts = []
    for first, last in ((0, 13), (13, 33)):
        a, b, c = (x[first:last].transpose(1, 0, 2).astype(np.float64) for x in rows)
        parts.append((_weights(a, b) @ c).transpose(1, 0, 2))

    def halves(on: Device) -> Array:
        near = attention(q, k[:, :, :90], v[:, :, :90], return_lse=True, device=on)
        far = attention(q, k[:, :, 90:], v[:, :, 90:], return_lse=True, device=on)
        merged: Array = merge_attention(*near, *far, return_lse=False, device=on)
        return merged

    k8, v8 = _wide(*(x.dequantize() for x in packed))
    return [
        Check("attention_decode", lambda on: attention_decode(q, k, v, device=on), (whole,)),
        Check(
            "attention_decode, 8 bits",
            lambda on: attention_decode(q, *packed, device=on),
            (_weights(q64, k8) @ v8,),
        ),
        Check(
            "attention_varlen",
            lambda on: attention_varlen(rows[0], rows[1], rows[2], starts, starts, device=on),
            (np.concatenate(parts),),
        ),
        Check("merge_attention", halves, (whole,)),
    ]


def _direct(x: Array, w: Array) -> Array:
    """A window of 3x3 with a padding of 1, one position after another."""
    x = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    height, width = x.shape[1] - 2, x.shape[2] - 2
    out = np.zeros((len(x), height, width, len(w)))
    for i, j in np.ndindex(3, 3):
        out += x[:, i : i + height, j : j + width] @ w[:, i, j].T
    return out


def _convolutions() -> list[Check]:
    x, w = _random((2, 13, 11, 8), np.float32, 1), _random((16, 3, 3, 8), np.float32, 2)
    expected = (_direct(*_wide(x, w)),)

    def run(weights: Any, algorithm: str) -> Callable[[Device], Array]:
        return lambda on: convolution(x, weights, padding=1, algorithm=algorithm, device=on)

    half = _random(x.shape, np.float16, 1), _random(w.shape, np.float16, 2)
    return [
        Check("convolution", run(w, "direct"), expected),
        Check("convolution, Winograd", run(w, "winograd"), expected),
        Check(
            "WinogradWeights",
            lambda on: convolution(x, WinogradWeights(w, device=on), padding=1, device=on),
            expected,
        ),
        Check(
            "convolution, float16",
            lambda on: convolution(*half, padding=1, algorithm="direct", device=on),
            (_direct(*_wide(*half)),),
        ),
    ]


def _casts() -> list[Check]:
    """Rounding to nearest even, bit for bit as in NumPy."""
    x = _random((100, 7), np.float32, 4)
    types = (np.dtype(np.float16), bfloat16)

    def run(on: Device) -> tuple[Array, ...]:
        pairs = [(cast(x, dtype, device=on), x.astype(dtype)) for dtype in types]
        # NaN where a bit differs, which no check lets pass.
        return tuple(np.where(a == b, a, np.nan).astype(a.dtype) for a, b in pairs)

    return [Check("cast", run, _wide(*(x.astype(dtype) for dtype in types)))]


def _pipeline() -> Check:
    """Three operations in one command buffer, on integers that no type rounds."""
    x, w = (np.rint(8 * _random((32, 32), np.float32, seed)) for seed in (1, 2))
    x64, w64 = _wide(x, w)

    def run(on: Device) -> Array:
        y, z = on.empty((32, 32), np.float16), on.empty((32, 32), np.float32)
        with on.commands() as commands:
            commands.hgemm(x.astype(np.float16), w.astype(np.float16), out=y)
            commands.cast(y, out=z)
            return commands.sgemm(z, z)

    return Check("commands", run, (x64 @ w64 @ x64 @ w64,))
