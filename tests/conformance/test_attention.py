# SPDX-License-Identifier: MIT
"""Apple-compiled attention of MLX: the tiled kernel and the one for single queries."""

from __future__ import annotations

import re
import struct
from typing import Any

import numpy as np
import pytest
from mlx import FLOATS, attention_params, tile_of, type_name
from tolerance import Attention, assert_within, random


def heads(rng: Any, batch: int, count: int, length: int, width: int, dtype: Any) -> Any:
    return random(rng, (batch, count, length, width), dtype)


def steel_kernel(library: Any, dtype: np.dtype[Any], width: int, mask: str) -> str:
    pattern = re.compile(
        rf"steel_attention_{dtype.name}_bq\d+_bk\d+_bd{width}(_bv{width})?_wm\d_wn\d_mask{mask}"
    )
    found = [name for name in library.functions if pattern.fullmatch(name)]
    assert found, f"no {pattern.pattern}"
    return sorted(found)[0]


def constants_of(library: Any, kernel: str, given: dict[int, bool]) -> dict[int, bool]:
    """False for what this version of the kernel has besides."""
    return {c.index: given.get(c.index, False) for c in library.function(kernel).constants}


@pytest.mark.parametrize("mask", ["none", "causal", "bool", "additive"])
@pytest.mark.parametrize("dtype", FLOATS, ids=type_name)
@pytest.mark.parametrize("width", [64, 128])
def test_steel(run: Any, library: Any, dtype: np.dtype[Any], mask: str, width: int) -> None:
    rng = np.random.default_rng(width)
    rows, columns = 40, 50
    q = heads(rng, 2, 4, rows, width, dtype)
    k, v = (heads(rng, 2, 2, columns, width, dtype) for _ in "kv")
    o = np.zeros_like(q)
    scale = width**-0.5
    kernel = steel_kernel(library, dtype, width, "bool_" if mask == "bool" else dtype.name)
    tile = tile_of(kernel)
    attend, bias = None, None
    buffers = {0: q, 1: k, 2: v, 3: o}
    buffers[4] = attention_params(q, k, v, o, scale, tile["bq"], tile["bk"])
    if mask == "causal":
        attend = np.tri(rows, columns, columns - rows, dtype=bool)
    if mask == "bool":
        attend = rng.random((2, 4, rows, columns)) < 0.7
        buffers[6] = attend
    if mask == "additive":
        bias = heads(rng, 2, 4, rows, columns, dtype)
        buffers[6] = bias
    if 6 in buffers:
        buffers[5] = struct.pack("<3q", 4 * rows * columns, rows * columns, columns)
    given = {200: rows % tile["bq"] == 0, 201: columns % tile["bk"] == 0}
    given |= {300: 6 in buffers, 301: mask == "causal"}
    groups = (-(-rows // tile["bq"]), 4, 2)
    run(kernel, buffers, constants=constants_of(library, kernel, given), groups=groups,
        group=(32, tile["wm"], tile["wn"]))  # fmt: skip
    reference = Attention(q, k, v, scale=scale, attend=attend, bias=bias)
    assert_within(o, reference.expected, reference.tolerance, kernel)


@pytest.mark.parametrize("mask", ["none", "causal", "bool", "additive"])
@pytest.mark.parametrize("dtype", FLOATS, ids=type_name)
@pytest.mark.parametrize("width", [64, 128])
def test_vector(run: Any, library: Any, dtype: np.dtype[Any], mask: str, width: int) -> None:
    rng = np.random.default_rng(width)
    rows, columns = 3, 45
    q = heads(rng, 1, 4, rows, width, dtype)
    k, v = (heads(rng, 1, 2, columns, width, dtype) for _ in "kv")
    o = np.zeros_like(q)
    scale = width**-0.5
    suffix = {"float32": "float", "float16": "float16_t", "bfloat16": "bfloat16_t"}[dtype.name]
    kernel = f"sdpa_vector_{suffix}_{width}_{width}"
    buffers: dict[int, Any] = {0: q, 1: k, 2: v, 3: o, 4: np.int32(2), 5: np.int32(columns)}
    strides = (columns * width, width)
    buffers |= {6 + i: np.uint64(stride) for i, stride in enumerate(strides * 2)}
    buffers[10] = np.float32(scale)
    attend, bias = None, None
    if mask == "causal":
        attend = np.tri(rows, columns, columns - rows, dtype=bool)
    if mask == "bool":
        attend = rng.random((1, 4, rows, columns)) < 0.7
        buffers[11] = attend
    if mask == "additive":
        bias = heads(rng, 1, 4, rows, columns, dtype)
        buffers[12] = bias
    if mask in ("bool", "additive"):
        buffers |= {13: np.int32(1), 14: np.int32(columns), 15: np.int32(rows * columns)}
    given = {20: mask in ("bool", "additive"), 22: mask == "causal"}
    given |= {23: mask == "bool", 24: mask == "additive"}
    run(kernel, buffers, constants=constants_of(library, kernel, given), groups=(4, rows, 1),
        group=(1024,))  # fmt: skip
    reference = Attention(q, k, v, scale=scale, attend=attend, bias=bias)
    assert_within(o, reference.expected, reference.tolerance, kernel)
