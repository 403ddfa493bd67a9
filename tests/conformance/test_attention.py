# SPDX-License-Identifier: MIT
"""Apple-compiled attention of MLX: the tiled kernel and the one for single queries."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from apple_kernels import FLOATS, type_name
from tolerance import Attention, assert_within, random

from pymfa.bench import steel


def heads(rng: Any, batch: int, count: int, length: int, width: int, dtype: Any) -> Any:
    return random(rng, (batch, count, length, width), dtype)


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
    kernel = steel.attention_kernel(
        library, dtype, width, "bool_" if mask == "bool" else dtype.name
    )
    attend, bias = None, None
    if mask == "causal":
        attend = np.tri(rows, columns, columns - rows, dtype=bool)
    if mask == "bool":
        attend = rng.random((2, 4, rows, columns)) < 0.7
    if mask == "additive":
        bias = heads(rng, 2, 4, rows, columns, dtype)
    launch = steel.attention(library, kernel, q, k, v, o, scale, causal=mask == "causal",
                             mask=attend if mask == "bool" else bias)  # fmt: skip
    run(kernel, launch.buffers, constants=launch.constants, groups=launch.groups,
        group=launch.group)  # fmt: skip
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
    run(kernel, buffers, constants=steel.declared(library, kernel, given), groups=(4, rows, 1),
        group=(1024,))  # fmt: skip
    reference = Attention(q, k, v, scale=scale, attend=attend, bias=bias)
    assert_within(o, reference.expected, reference.tolerance, kernel)


@pytest.mark.parametrize("mask", ["none", "causal", "bool", "additive"])
@pytest.mark.parametrize("dtype", FLOATS, ids=type_name)
@pytest.mark.parametrize("width", [64, 128])
def test_vector_in_two_passes(run: Any, dtype: np.dtype[Any], mask: str, width: int) -> None:
    """32 blocks of keys make partial results each, which a second kernel brings together."""
    rng = np.random.default_rng(width)
    rows, columns, blocks = 2, 75, 32
    q = heads(rng, 1, 4, rows, width, dtype)
    k, v = (heads(rng, 1, 2, columns, width, dtype) for _ in "kv")
    o = np.zeros_like(q)
    scale = width**-0.5
    suffix = {"float32": "float", "float16": "float16_t", "bfloat16": "bfloat16_t"}[dtype.name]
    parts = np.zeros((4, rows, blocks, width), dtype)
    sums, maxima = np.zeros((4, rows, blocks), np.float32), np.zeros((4, rows, blocks), np.float32)
    buffers: dict[int, Any] = {0: q, 1: k, 2: v, 3: parts, 4: sums, 5: maxima}
    strides = (columns * width, width)
    buffers[7] = np.int32(columns)
    buffers |= {8 + i: np.uint64(stride) for i, stride in enumerate(strides * 2)}
    buffers[12] = np.float32(scale)
    attend, bias = None, None
    if mask == "causal":
        attend = np.tri(rows, columns, columns - rows, dtype=bool)
    if mask == "bool":
        attend = rng.random((1, 4, rows, columns)) < 0.7
        buffers[13] = attend
    if mask == "additive":
        bias = heads(rng, 1, 4, rows, columns, dtype)
        buffers[14] = bias
    if mask in ("bool", "additive"):
        buffers |= {15: np.int32(1), 16: np.int32(columns), 17: np.int32(rows * columns)}
    constants = {20: mask in ("bool", "additive"), 21: False, 22: mask == "causal"}
    constants |= {23: mask == "bool", 24: mask == "additive", 25: False, 26: blocks}
    run(f"sdpa_vector_2pass_1_{suffix}_{width}_{width}", buffers, constants=constants,
        groups=(2, 1, blocks), group=(32, 2, rows))  # fmt: skip
    run(f"sdpa_vector_2pass_2_{suffix}_{width}",
        {0: parts, 1: sums, 2: maxima, 3: o, 4: np.int32(blocks)}, groups=(4, rows, 1),
        group=(1024,))  # fmt: skip
    reference = Attention(q, k, v, scale=scale, attend=attend, bias=bias)
    assert_within(o, reference.expected, reference.tolerance)
