# SPDX-License-Identifier: MIT
"""Attention's gradients against float64: the options of the forward pass, and what may be wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from arrangements import made
from hypothesis import given
from test_attention import DTYPES, causal_mask, make_mask, problems
from tolerance import AttentionGradients, assert_within

import pymfa


def check(dtype: Any, device: pymfa.Device, problem: dict[str, Any]) -> None:
    b, (h, hkv), (r, c) = problem["batch"], problem["heads"], problem["length"]
    d, dv = problem["width"]
    shapes = (b, h, r, d), (b, hkv, c, d), (b, hkv, c, dv), (b, h, r, dv)
    q, k, v, do = (made(i, s, dtype) for i, s in enumerate(shapes))
    mask = make_mask(problem["mask"], (b, h, r, c), dtype, problem["seed"])
    attend, bias = causal_mask(problem["causal"], r, c), None
    if mask is not None and mask.dtype == np.bool_:
        attend = attend & mask
    elif mask is not None:
        bias = mask
    reference = AttentionGradients(
        do, q, k, v, scale=problem["scale"] or d**-0.5,
        attend=np.broadcast_to(attend, (b, h, r, c)), bias=bias,
    )  # fmt: skip
    swapped = problem["layout"] == "BNHD"
    ways = (*problem["ways"], problem["ways"][0])
    inputs = [
        made(i, (s[0], s[2], s[1], s[3]) if swapped else s, dtype, way)
        for i, (s, way) in enumerate(zip(shapes, ways, strict=True))
    ]
    for input_, array in zip(inputs, (q, k, v, do), strict=True):
        input_[...] = np.swapaxes(array, 1, 2) if swapped else array
    *qkv, gradient = inputs
    options = {name: problem[name] for name in ("causal", "scale", "layout")} | {"mask": mask}
    out, lse = pymfa.attention(*qkv, return_lse=True, device=device, **options)
    results = pymfa.attention_backward(gradient, *qkv, out, lse, device=device, **options)
    for name, result in zip(("dq", "dk", "dv"), results, strict=True):
        assert result is not None and result.dtype == dtype
        actual = np.swapaxes(result, 1, 2) if swapped else result
        assert_within(actual, reference.expected[name], reference.tolerance[name], name)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
@given(problem=problems(130))
def test_sweep(fast: pymfa.Device, dtype: Any, problem: dict[str, Any]) -> None:
    check(dtype, fast, problem)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
@given(problem=problems(9))
def test_sweep_small(device: pymfa.Device, dtype: Any, problem: dict[str, Any]) -> None:
    check(dtype, device, problem)
