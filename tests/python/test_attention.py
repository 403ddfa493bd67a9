# SPDX-License-Identifier: MIT
"""Attention against float64: masks of every kind, layouts, strides, grouped heads, log-sum-exp."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from arrangements import WAYS, made, sizes
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerance import Attention, assert_within, bfloat16

import pymfa

DTYPES = [np.dtype(np.float16), np.dtype(np.float32), bfloat16]
MASKS = ["none", "none", "full", "heads", "row", "column", "padding", "additive", "additive_float"]
WIDTHS = [1, 3, 8, 16, 20, 32, 40, 63, 64, 65, 80, 96, 128]
WIDE = [129, 144, 160, 191, 200, 255, 256, 257, 320, 384, 448, 505, 511, 512]
# Of Q and K, of V: equal, odd, one of them small, and both at the end.
WIDE_PAIRS = [
    (129, 129), (160, 96), (191, 257), (192, 128), (256, 256), (300, 64), (3, 301), (512, 1),
    (511, 509), (512, 512),
]  # fmt: skip


@st.composite
def problems(draw: st.DrawFn, largest: int, wide: bool = False) -> dict[str, Any]:
    kv_heads = draw(st.sampled_from([1, 1, 2, 3]))
    narrow = [d for d in WIDTHS if d <= largest]
    widths = [*WIDE, *narrow[::3]] if wide else narrow
    return {
        "batch": draw(st.sampled_from([1, 1, 2])),
        "heads": (kv_heads * draw(st.sampled_from([1, 1, 2, 4])), kv_heads),
        "length": (draw(sizes(largest)), draw(sizes(largest))),
        "width": (draw(st.sampled_from(widths)),) * 2
        if draw(st.booleans())
        else tuple(draw(st.sampled_from(widths)) for _ in "kv"),
        "layout": draw(st.sampled_from(["BHND", "BNHD"])),
        "ways": tuple(draw(st.sampled_from(WAYS)) for _ in "qkv"),
        "causal": draw(st.sampled_from([False, False, "lower_right", "upper_left"])),
        "mask": draw(st.sampled_from(MASKS)),
        "scale": draw(st.sampled_from([None, None, 0.3, 1.0])),
        "seed": draw(st.integers(0, 3)),
    }


def causal_mask(kind: bool | str, rows: int, columns: int) -> Any:
    if not kind:
        return np.ones((rows, columns), bool)
    return np.tri(rows, columns, columns - rows if kind != "upper_left" else 0, dtype=bool)


def make_mask(kind: str, shape: tuple[int, ...], dtype: Any, seed: int) -> Any:
    b, h, r, c = shape
    rng = np.random.default_rng(seed)
    if kind == "none":
        return None
    if kind.startswith("additive"):
        return made(seed, (b, 1, r, c), np.float32 if kind == "additive_float" else dtype)
    shapes = {"full": shape, "heads": (h, r, c), "row": (r, 1), "column": (1, c)}
    mask = rng.random(shapes.get(kind, (b, 1, 1, c))) < 0.6
    if kind == "full" and r > 1:
        mask[:, :, r // 2] = False  # a row that sees nothing
    return mask


def check(dtype: Any, device: pymfa.Device, problem: dict[str, Any]) -> None:
    b, (h, hkv), (r, c) = problem["batch"], problem["heads"], problem["length"]
    d, dv = problem["width"]
    shapes = (b, h, r, d), (b, hkv, c, d), (b, hkv, c, dv)
    q, k, v = (made(i, s, dtype) for i, s in enumerate(shapes))
    mask = make_mask(problem["mask"], (b, h, r, c), dtype, problem["seed"])
    attend = causal_mask(problem["causal"], r, c)
    bias = None
    if mask is not None and mask.dtype == np.bool_:
        attend = attend & mask
    elif mask is not None:
        bias = mask
    scale = problem["scale"] or d**-0.5
    reference = Attention(
        q, k, v, scale=scale, attend=np.broadcast_to(attend, (b, h, r, c)), bias=bias
    )
    swapped = problem["layout"] == "BNHD"
    given = [
        made(i, (s[0], s[2], s[1], s[3]) if swapped else s, dtype, way)
        for i, (s, way) in enumerate(zip(shapes, problem["ways"], strict=True))
    ]
    for given_array, array in zip(given, (q, k, v), strict=True):
        given_array[...] = np.swapaxes(array, 1, 2) if swapped else array
    out, lse = pymfa.attention(
        *given, causal=problem["causal"], mask=mask, scale=problem["scale"],
        layout=problem["layout"], return_lse=True, device=device,
    )  # fmt: skip
    out = np.swapaxes(out, 1, 2) if swapped else out
    assert out.dtype == dtype
    assert_within(out, reference.expected, reference.tolerance, "O")
    assert_within(lse, reference.lse, reference.lse_tolerance, "LSE")


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
@given(problem=problems(130))
def test_sweep(fast: pymfa.Device, dtype: Any, problem: dict[str, Any]) -> None:
    check(dtype, fast, problem)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
@given(problem=problems(9))
def test_sweep_small(device: pymfa.Device, dtype: Any, problem: dict[str, Any]) -> None:
    check(dtype, device, problem)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
@settings(max_examples=10)
@given(problem=problems(70, wide=True))
def test_sweep_wide(fast: pymfa.Device, dtype: Any, problem: dict[str, Any]) -> None:
    check(dtype, fast, problem)


def wide_problem(index: int, length: tuple[int, int] = (11, 19)) -> dict[str, Any]:
    """WIDE_PAIRS[index] with some of everything else."""
    return {
        "batch": 1, "heads": (2, 1), "length": length, "width": WIDE_PAIRS[index],
        "layout": ["BHND", "BNHD"][index % 2],
        "ways": [("packed",) * 3, ("columns", "padded", "packed"),
                 ("padded", "columns", "columns")][index % 3],
        "causal": [False, "lower_right", "upper_left"][index % 3],
        "mask": ["none", "full", "additive", "none"][index % 4], "scale": None, "seed": 0,
    }  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
@pytest.mark.parametrize("index", range(len(WIDE_PAIRS)), ids=map(str, WIDE_PAIRS))
def test_wide_heads(device: pymfa.Device, dtype: Any, index: int) -> None:
    check(dtype, device, wide_problem(index))


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
@pytest.mark.parametrize("mask", ["none", "full", "additive"])
@pytest.mark.parametrize("queries", [1, 2, 6, 9])
def test_few_queries(fast: pymfa.Device, dtype: Any, queries: int, mask: str) -> None:
    """Up to 6, or 8 with AVX-512, stream the keys, in parts that are merged; 9 take tiles."""
    check(dtype, fast, {
        "batch": 2, "heads": (6, 2), "length": (queries, 1300), "width": (72, 40),
        "layout": "BNHD", "ways": ("columns", "padded", "packed"), "causal": "lower_right",
        "mask": mask, "scale": None, "seed": 0,
    })  # fmt: skip
    desc = pymfa.AttentionDesc(queries, 1300, 72, H=6, Hkv=2)
    told = fast.explain(desc)
    assert (told.kernel == "decode") == (queries <= 6)
    if queries <= 6:
        assert told.reason.startswith("few queries") and told.dispatches == 2


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
@pytest.mark.parametrize("causal", [False, True])
def test_longer(fast: pymfa.Device, dtype: Any, causal: bool) -> None:
    check(dtype, fast, {
        "batch": 1, "heads": (2, 1), "length": (200, 517), "width": (64, 64), "layout": "BHND",
        "ways": ("packed",) * 3, "causal": causal, "mask": "none", "scale": None, "seed": 0,
    })  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
def test_rows_that_see_nothing(device: pymfa.Device, dtype: Any) -> None:
    q, k, v = (made(i, (1, 2, 5, 8), dtype) for i in range(3))
    mask = np.ones((5, 5), bool)
    mask[2] = False
    out, lse = pymfa.attention(q, k, v, mask=mask, return_lse=True, device=device)
    assert (out[:, :, 2] == 0).all()
    assert np.isneginf(lse[:, :, 2]).all()
    assert np.isfinite(np.delete(lse, 2, axis=2)).all()


def test_minus_infinity_masks_like_false(device: pymfa.Device) -> None:
    q, k, v = (made(i, (1, 1, 4, 8), np.float16) for i in range(3))
    attend = np.array([[1, 0, 1, 1], [0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 1]], bool)
    added = np.where(attend, 0, -np.inf).astype(np.float16)
    out, lse = pymfa.attention(q, k, v, mask=added, return_lse=True, device=device)
    same, same_lse = pymfa.attention(q, k, v, mask=attend, return_lse=True, device=device)
    np.testing.assert_allclose(out.astype(float), same.astype(float), rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(lse, same_lse, rtol=1e-5)


def test_causal_with_more_queries_than_keys(device: pymfa.Device) -> None:
    """Lower-right: the first queries see nothing."""
    q, k, v = (
        made(1, (1, 1, 7, 8), np.float32),
        *(made(i, (1, 1, 3, 8), np.float32) for i in (2, 3)),
    )
    out, lse = pymfa.attention(q, k, v, causal=True, return_lse=True, device=device)
    assert (out[0, 0, :4] == 0).all() and np.isneginf(lse[0, 0, :4]).all()
    assert np.isfinite(lse[0, 0, 4:]).all()


def test_no_keys(device: pymfa.Device) -> None:
    q, k = np.ones((1, 1, 3, 8), np.float16), np.ones((1, 1, 0, 8), np.float16)
    out, lse = pymfa.attention(q, k, k, return_lse=True, device=device)
    assert (out == 0).all() and np.isneginf(lse).all()


def test_large_scores_do_not_overflow(device: pymfa.Device) -> None:
    q = np.full((1, 1, 2, 64), 200, np.float16)
    k = np.stack([np.full(64, 200), np.full(64, -200)]).astype(np.float16)[None, None]
    v = np.stack([np.full(64, 3), np.full(64, 5)]).astype(np.float16)[None, None]
    out = pymfa.attention(q, k, v, scale=1.0, device=device)
    assert (out == 3).all()


@pytest.mark.parametrize("dims", [2, 3])
def test_fewer_dimensions(device: pymfa.Device, dims: int) -> None:
    q, k, v = (made(i, (1, 2, 5, 8), np.float32) for i in range(3))
    full, full_lse = pymfa.attention(q, k, v, return_lse=True, device=device)
    index = (0,) * (4 - dims)
    out, lse = pymfa.attention(q[index], k[index], v[index], return_lse=True, device=device)
    np.testing.assert_array_equal(out, full[index])
    np.testing.assert_array_equal(lse, full_lse[index])


def test_fused_projections_are_read_in_place(device: pymfa.Device) -> None:
    """q, k and v as views of one array, as a single matrix product leaves them."""
    qkv = device.empty((2, 6, 3, 4, 8), np.float16)
    qkv[...] = made(1, qkv.shape, np.float16)
    q, k, v = np.moveaxis(qkv, 2, 0)
    with device.commands() as commands:  # commands never copy
        out = commands.attention(q, k, v, layout="BNHD")
    np.testing.assert_array_equal(
        out, pymfa.attention(q.copy(), k.copy(), v.copy(), layout="BNHD", device=device)
    )
