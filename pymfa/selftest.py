# SPDX-License-Identifier: MIT
"""`python -m pymfa selftest`: a minute of evidence that the library works on this machine."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import DTypeLike

from .arrays import Array, bfloat16
from .errors import Error
from .hardware import Device, device, devices
from .ops import attention, bgemm, cast, hgemm, sgemm

_SOURCE = """
#include <metal_stdlib>
using namespace metal;
kernel void triple(device float *x [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  x[i] = 3 * x[i] + simd_sum(0.0f);
}
"""
# Rounding of the storage type, of a sum of a hundred float32 products, and room to spare.
_CLOSE = {"float16": 2.0**-9, "bfloat16": 2.0**-6, "float32": 2.0**-18}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="pymfa selftest", description=__doc__)
    parser.add_argument("--device", help="only this one (default: all)")
    options = parser.parse_args(arguments)
    failures = 0
    for tested in [device(options.device)] if options.device else devices():
        print(f"{tested.name}: {tested.description}")
        for name, check in _CHECKS.items():
            try:
                good, detail = check(tested)
            except Error as error:
                good, detail = False, str(error)
            failures += not good
            print(f"  {'ok    ' if good else 'FAILED'}  {name:24} {detail}")
    print("all good" if failures == 0 else f"{failures} failed", file=sys.stderr)
    return min(failures, 1)


def _random(shape: tuple[int, ...], dtype: DTypeLike, seed: int) -> Array:
    numbers = np.random.default_rng(seed).standard_normal(shape)
    return (numbers / 4).astype(np.float32).astype(dtype)


def _verdict(actual: Array, expected: Array) -> tuple[bool, str]:
    error = float(np.abs(actual.astype(np.float64) - expected).max())
    limit = _CLOSE[actual.dtype.name] * max(1.0, float(np.abs(expected).max()))
    return error <= limit, f"off by {error:.1e}, {limit:.1e} allowed"


def _gemm(product: Callable[..., Array], dtype: DTypeLike) -> Callable[[Device], tuple[bool, str]]:
    def check(tested: Device) -> tuple[bool, str]:
        a, b = _random((67, 100), dtype, 1), _random((45, 100), dtype, 2)
        bias = _random((45,), dtype, 3)
        actual = product(a, b, trans_b=True, bias=bias, activation="relu", device=tested)
        a, b, bias = (x.astype(np.float64) for x in (a, b, bias))
        return _verdict(actual, np.maximum(a @ b.T + bias, 0))

    return check


def _attention(tested: Device) -> tuple[bool, str]:
    q, k, v = (_random((2, 4, 33, 32), np.float16, i) for i in range(3))
    actual = attention(q, k, v, causal=True, device=tested)
    q, k, v = (x.astype(np.float64) for x in (q, k, v))
    scores = np.where(np.tri(33, dtype=bool), q @ np.swapaxes(k, -1, -2) / np.sqrt(32), -np.inf)
    p = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return _verdict(actual, p / p.sum(axis=-1, keepdims=True) @ v)


def _cast(tested: Device) -> tuple[bool, str]:
    x = _random((100, 7), np.float32, 4)
    exact = all(np.array_equal(cast(x, d, device=tested), x.astype(d)) for d in ("f2", bfloat16))
    return exact, "equal to NumPy" if exact else "not equal to NumPy"


def _custom(tested: Device) -> tuple[bool, str]:
    x = np.arange(100, dtype=np.float32)
    pipeline = tested.library(source=_SOURCE).pipeline("triple")
    with tested.commands() as commands:
        commands.dispatch(pipeline, buffers={0: x}, threads=100, threads_per_threadgroup=64)
    return _verdict(x, 3.0 * np.arange(100))


_CHECKS: dict[str, Callable[[Device], tuple[bool, str]]] = {
    "hgemm": _gemm(hgemm, np.float16),
    "bgemm": _gemm(bgemm, bfloat16),
    "sgemm": _gemm(sgemm, np.float32),
    "attention": _attention,
    "cast": _cast,
    "kernel from source": _custom,
}
