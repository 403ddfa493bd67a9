# SPDX-License-Identifier: MIT
"""Every operation at sizes that no tile divides, for tests of what memory its kernels touch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

import pymfa

Place = Callable[[Any], Any]  # an array -> the same somewhere else


def random(*shape: int, dtype: Any) -> Any:
    return np.random.default_rng(shape[0]).standard_normal(shape).astype(dtype)


def placed(value: Any, place: Place) -> Any:
    """Arrays, and the arrays inside quantized ones."""
    if isinstance(value, np.ndarray):
        return place(value)
    fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    return dataclasses.replace(
        value, **{name: place(x) for name, x in fields.items() if isinstance(x, np.ndarray)}
    )


def products(dtype: Any, place: Place, device: Any) -> None:
    multiply = {"float32": pymfa.sgemm, "float16": pymfa.hgemm}.get(np.dtype(dtype).name)
    multiply = multiply or pymfa.bgemm
    for m, n, k in ((1, 1, 1), (8, 40, 16), (1, 70, 33), (70, 66, 33)):
        for trans_a in (False, True):
            for trans_b in (False, True):
                a = place(random(*((k, m) if trans_a else (m, k)), dtype=dtype))
                b = place(random(*((n, k) if trans_b else (k, n)), dtype=dtype))
                c = place(random(m, n, dtype=dtype))
                options = {"trans_a": trans_a, "trans_b": trans_b, "device": device}
                multiply(a, b, out=place(c), **options)
                bias = place(random(n, dtype=dtype))
                multiply(a, b, c=c, beta=2.0, bias=bias, out=place(c), activation="relu", **options)


def quantized_products(dtype: Any, place: Place, device: Any) -> None:
    weights: list[Any] = []
    for bits in (2, 3, 4, 5, 6, 8):
        weights.append(pymfa.quantize(random(45, 100, dtype=dtype), bits=bits, group_size=32))
    for bits, msb_first in ((1, False), (3, True), (6, False), (8, False)):
        weights.append(
            pymfa.palettize(random(45, 100, dtype=dtype), bits=bits, msb_first=msb_first)
        )
    for w in weights:
        w = placed(w, place)
        for trans_b, inner, outer in ((True, 100, 45), (False, 45, 100)):
            for rows in (1, 37):
                x = place(random(rows, inner, dtype=dtype))
                out = place(np.zeros((rows, outer), dtype))
                pymfa.qgemm(x, w, trans_b=trans_b, out=out, device=device)


def attention(dtype: Any, place: Place, device: Any) -> None:
    for rows, columns, width in ((1, 3, 8), (20, 70, 24), (33, 65, 40)):
        q = place(random(1, 4, rows, width, dtype=dtype))
        k, v = (place(random(1, 2, columns, width, dtype=dtype)) for _ in "kv")
        mask = place(random(rows, columns, dtype=np.float32) > 0)
        bias = place(random(4, rows, columns, dtype=dtype))
        slopes = place(np.linspace(0.1, 0.5, 4).astype(np.float32))
        for options in (
            {}, {"causal": True}, {"mask": mask}, {"bias": bias}, {"window": (5, 3)},
            {"alibi": slopes, "sinks": slopes, "soft_cap": 3.0}, {"dropout": 0.2, "seed": 1},
        ):  # fmt: skip
            o = place(np.zeros_like(q))
            o, lse = pymfa.attention(
                q,
                k,
                v,
                out=o,
                return_lse=True,
                device=device,
                **options,  # type: ignore[arg-type]
            )
            gradients = [place(np.zeros_like(x)) for x in (q, k, v)]
            names = dict(zip(("dq", "dk", "dv"), gradients, strict=True))
            if "sinks" in options:
                continue
            pymfa.attention_backward(
                place(random(*o.shape, dtype=dtype)), q, k, v, o, place(lse), device=device,
                return_dbias="bias" in options, **names, **options,  # type: ignore[arg-type]
            )  # fmt: skip


def decoding(dtype: Any, place: Place, device: Any) -> None:
    q = place(random(2, 4, 3, 64, dtype=dtype))
    k, v = (random(2, 2, 77, 64, dtype=dtype) for _ in "kv")
    lengths = place(np.array([77, 13], np.int32))
    caches = [(k, v)] + [
        (pymfa.quantize_kv(k, bits=bits), pymfa.quantize_kv(v, bits=bits)) for bits in (4, 8)
    ]
    for keys, values in caches:
        keys, values = placed(keys, place), placed(values, place)
        for splits in (1, 3):
            out = place(np.zeros_like(q))
            result = pymfa.attention_decode(
                q, keys, values, lengths=lengths, splits=splits, return_lse=True, out=out,
                device=device,
            )  # fmt: skip
    o, lse = result
    pymfa.merge_attention(o, place(lse), place(o), place(lse), device=device)


def convolutions(dtype: Any, place: Place, device: Any) -> None:
    for size, window, options in (
        ((2, 9, 7, 5), (6, 3, 3, 5), {"padding": 1}),
        ((1, 9, 7, 33), (7, 3, 3, 33), {"padding": 1, "algorithm": "winograd"}),
        ((1, 11, 6), (4, 5, 3), {"groups": 2, "stride": 2}),
        ((1, 4, 5, 6, 3), (5, 2, 3, 2, 3), {"dilation": 2, "padding": 2}),
        ((1, 5, 6, 8), (8, 3, 3, 1), {"groups": 8}),
        ((2, 5, 4, 3), (6, 3, 3, 3), {"transposed": True, "stride": 2}),
    ):
        x, w = random(*size, dtype=dtype), random(*window, dtype=dtype)
        bias = place(random(window[0], dtype=dtype))
        pymfa.convolution(place(x), place(w), bias=bias, device=device, **options)
    x = place(random(1, 9, 7, 5, dtype=dtype))
    palettes = placed(pymfa.palettize(random(6, 3, 3, 5, dtype=dtype), bits=6), place)
    for algorithm in ("direct", "winograd"):
        pymfa.convolution(x, palettes, padding=1, algorithm=algorithm, device=device)


def casts(dtype: Any, place: Place, device: Any) -> None:
    for target in (np.float16, np.float32, pymfa.bfloat16):
        for shape in ((3, 37), (1, 1), (5, 64)):
            out = place(np.zeros(shape, target))
            pymfa.cast(place(random(*shape, dtype=dtype)), target, out=out, device=device)


OPERATIONS = {
    "products": products,
    "quantized products": quantized_products,
    "attention": attention,
    "decoding": decoding,
    "convolutions": convolutions,
    "casts": casts,
}
