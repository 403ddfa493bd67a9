# SPDX-License-Identifier: MIT
"""Attention of one query to a long cache, beside merely reading the cache's memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

import pymfa
from pymfa.bench.operands import distance, float32, random
from pymfa.bench.rounds import OURS, Call, Case

KEYS = 8192
HEADS, WIDTH = 16, 128  # 128 MB in float32: more than caches hold
READING = "reading the cache"


def reader(arrays: list[Any]) -> Call:
    """Reads every byte once, a thread for each CPU: numpy.max keeps up with memory."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    pool = ThreadPoolExecutor(cpus)
    parts = [part for x in arrays for part in np.array_split(x.reshape(-1).view(np.uint32), cpus)]
    return lambda: list(pool.map(np.max, parts))


def bandwidth() -> Iterator[Case]:
    """FP32: as many bytes a second as memory gives?"""
    yield plain(float32, 1, KEYS)


def plain(dtype: Any, share: int, keys: int) -> Case:
    """`share` query heads to each head of the cache."""
    q = random((1, share * HEADS, 1, WIDTH), dtype, 1)
    k, v = (random((1, HEADS, keys, WIDTH), dtype, seed) for seed in (2, 3))
    name = np.dtype(dtype).name + (f", {share} query heads to each" if share > 1 else "")
    return _case(name, q, k, v, {READING: reader([k, v])}, k.nbytes + v.nbytes)


def quantized(bits: int, keys: int) -> Case:
    """Beside the same cache in float32; GB/s are those of the integers, scales and biases."""
    q = random((1, HEADS, 1, WIDTH), float32, 1)
    k, v = (random((1, HEADS, keys, WIDTH), float32, seed) for seed in (2, 3))
    stored = [pymfa.quantize_kv(x, bits=bits, dtype=np.float16) for x in (k, v)]
    size = sum(x.nbytes for s in stored for x in (s.values, s.scales, s.biases))
    others: dict[str, Call] = {"float32 cache": partial(pymfa.attention_decode, q, k, v)}
    return _case(f"{bits} bits", q, stored[0], stored[1], others, size)


def _case(name: str, q: Any, k: Any, v: Any, others: dict[str, Call], size: int) -> Case:
    ours = partial(pymfa.attention_decode, q, k, v)

    def error() -> float:
        keys, values = (
            (x.dequantize() if isinstance(x, pymfa.QuantizedKV) else x)[0, 0].astype(np.float64)
            for x in (k, v)
        )
        scores = keys @ q[0, 0, 0].astype(np.float64) * WIDTH**-0.5
        weights = np.exp(scores - scores.max())
        return distance(ours()[0, 0, 0], weights @ values / weights.sum())

    shape = values_shape(k)
    return Case(
        op="decode",
        label=f"{shape[1]}×{shape[2]}×{WIDTH} {name}",
        size=shape[2],
        contenders={OURS: ours, **others},
        against=next(iter(others)),
        work=float(size),
        unit="GB/s",
        error=error,
    )


def values_shape(cache: Any) -> tuple[int, ...]:
    array = cache.values if isinstance(cache, pymfa.QuantizedKV) else cache
    return tuple(array.shape)
