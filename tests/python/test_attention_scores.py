# SPDX-License-Identifier: MIT
"""What changes attention's scores, in any combination, against float64."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from arrangements import made, sizes
from hypothesis import given
from hypothesis import strategies as st
from philox import kept, philox
from scoring import explained
from tolerance import Attention, assert_within, bfloat16

import pymfa

DTYPES = [np.dtype(np.float16), np.dtype(np.float32), bfloat16]
Shape = tuple[int, int, int, int]
SIDES = [None, 0, 1, 5, 40, 200]


@st.composite
def problems(draw: st.DrawFn, largest: int) -> dict[str, Any]:
    kv_heads = draw(st.sampled_from([1, 2]))
    return {
        "batch": draw(st.sampled_from([1, 2])),
        "heads": (kv_heads * draw(st.sampled_from([1, 1, 3])), kv_heads),
        "length": (draw(sizes(largest)), draw(sizes(largest))),
        "width": draw(st.sampled_from([d for d in [1, 8, 13, 40, 64] if d <= largest])),
        "causal": draw(st.sampled_from([False, False, "lower_right", "upper_left"])),
        "window": draw(st.none() | st.tuples(st.sampled_from(SIDES), st.sampled_from(SIDES))),
        "soft_cap": draw(st.sampled_from([None, None, 0.7, 20.0])),
        "alibi": draw(st.sampled_from(["none", "none", "heads", "batches"])),
        "sinks": draw(st.booleans()),
        "mask": draw(st.sampled_from(["none", "none", "full", "row", "column", "additive"])),
        "bias": draw(st.sampled_from(["none", "none", "full", "batch", "column"])),
        "dropout": draw(st.sampled_from([0.0, 0.0, 0.1, 0.75])),
        "seed": draw(st.sampled_from([0, 1, 2**40 + 3])),
        "offset": draw(st.sampled_from([0, 2**35 + 1])),
    }


def shapes(problem: dict[str, Any]) -> tuple[Shape, Shape, Shape]:
    """Of q, of k and v, and of the scores."""
    b, (h, hkv), (r, c), d = (problem[key] for key in ("batch", "heads", "length", "width"))
    return (b, h, r, d), (b, hkv, c, d), (b, h, r, c)


def options_of(problem: dict[str, Any], dtype: Any) -> dict[str, Any]:
    """Of pymfa.attention."""
    b, h, r, c = shapes(problem)[2]
    rng = np.random.default_rng(problem["seed"])
    slopes = mask = bias = None
    if problem["alibi"] != "none":
        slopes = rng.random((b, h)[problem["alibi"] == "heads" :], np.float32)
    if problem["mask"] == "additive":
        mask = made(5, (b, 1, r, c), dtype)
    elif problem["mask"] != "none":
        shape = {"full": (b, h, r, c), "row": (r, 1), "column": (b, 1, 1, c)}[problem["mask"]]
        mask = rng.random(shape) < 0.6
    if problem["bias"] != "none":
        shape = {"full": (b, h, r, c), "batch": (b, 1, r, c), "column": (c,)}[problem["bias"]]
        bias = made(6, shape, np.float32)
        bias[rng.random(shape) < 0.1] = -np.inf
    names = ("causal", "window", "soft_cap", "dropout", "seed", "offset")
    return {
        **{key: problem[key] for key in names}, "alibi": slopes, "mask": mask, "bias": bias,
        "sinks": made(7, (h,), np.float32) if problem["sinks"] else None,
    }  # fmt: skip


def check(dtype: Any, device: pymfa.Device, problem: dict[str, Any]) -> None:
    q_shape, kv_shape, scores = shapes(problem)
    q, k, v = (made(i, s, dtype) for i, s in enumerate((q_shape, kv_shape, kv_shape)))
    options = options_of(problem, dtype)
    reference = Attention(q, k, v, scale=q_shape[3] ** -0.5, **explained(scores, **options))
    out, lse = pymfa.attention(q, k, v, **options, return_lse=True, device=device)
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


def test_philox_is_that_of_its_paper() -> None:
    """The known answers published with Random123."""
    full = (1 << 32) - 1
    assert [int(w) for w in philox([0, 0, 0, 0], [0, 0])] == [
        0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8,
    ]  # fmt: skip
    assert [int(w) for w in philox([full] * 4, [full] * 2)] == [
        0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD,
    ]  # fmt: skip


def test_dropout_drops_as_many_as_it_says(fast: pymfa.Device) -> None:
    """With equal scores and V the identity, O shows which weights are left."""
    n = 256
    q = np.zeros((2, 2, n, 8), np.float32)
    v = np.broadcast_to(np.eye(n, dtype=np.float32), (2, 2, n, n)).copy()
    out = pymfa.attention(q, q, v, dropout=0.25, seed=11, device=fast)
    left = out != 0
    np.testing.assert_array_equal(left, kept(left.shape, 0.25, 11, 0))
    # A binomial is within five standard deviations but once in 1.7 million.
    assert abs(left.mean() - 0.75) < 5 * (0.25 * 0.75 / left.size) ** 0.5
    assert (out[left] == np.float32(1 / n / 0.75)).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"window": 3}, "window"),
        ({"window": (1, -2)}, "window"),
        ({"soft_cap": -1.0}, "soft_cap"),
        ({"soft_cap": float("nan")}, "soft_cap"),
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": -0.5}, "dropout"),
        ({"dropout": 0.5, "seed": -1}, "seed"),
        ({"alibi": np.ones(3, np.float32)}, "alibi"),
        ({"alibi": np.ones(2)}, "alibi"),
        ({"sinks": np.ones((1, 2), np.float32)}, "sinks"),
        ({"bias": np.ones((4, 4), bool)}, "bias"),
        ({"bias": np.ones((5, 4), np.float32)}, "bias"),
        ({"sparsity": "maybe"}, "sparsity"),
        ({"out_dtype": np.float64}, "out_dtype"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], words: str) -> None:
    x = np.zeros((1, 2, 4, 8), np.float16)
    with pytest.raises(pymfa.Error, match=words):
        pymfa.attention(x, x, x, **options)


@pytest.mark.parametrize("dtype", [np.dtype(np.float16), bfloat16], ids=lambda d: d.name)
def test_float32_output_of_16_bit_inputs(device: pymfa.Device, dtype: Any) -> None:
    q, k, v = (made(i, (1, 2, 9, 16), dtype) for i in range(3))
    wide = pymfa.attention(q, k, v, out_dtype=np.float32, device=device)
    assert wide.dtype == np.float32
    np.testing.assert_array_equal(wide.astype(dtype), pymfa.attention(q, k, v, device=device))
    exact = Attention(*(x.astype(np.float32) for x in (q, k, v)), scale=0.25)
    assert_within(wide, exact.expected, exact.tolerance)


@pytest.mark.parametrize("sparsity", ["auto", "on", "off"])
def test_sparsity_does_not_change_the_result(device: pymfa.Device, sparsity: str) -> None:
    q, k, v = (made(i, (1, 2, 40, 8), np.float32) for i in range(3))
    mask = np.zeros((40, 40), bool)
    mask[:, 5:9] = mask[20:, 30:] = True
    expected = pymfa.attention(q, k, v, mask=mask, sparsity="off", device=device)
    out = pymfa.attention(q, k, v, mask=mask, sparsity=sparsity, device=device)
    np.testing.assert_array_equal(out, expected)


@pytest.fixture
def direct() -> Iterator[pymfa.Device]:
    """The form for Apple GPUs, scores and output in matrices, on the CPU device."""
    if "cpu" not in [device.name for device in pymfa.devices()]:
        pytest.skip("the rows are for a CPU device")
    device = pymfa.device("cpu")
    device.set_tiles('attention_tiles\n{false, 0, any, any, 8, 32, 4, false, "direct"},\n')
    yield device
    device.set_tiles(None)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
@pytest.mark.parametrize(
    "options",
    [
        {"window": (3, 5)},
        {"window": (20, None), "causal": "lower_right", "soft_cap": 0.7},
        {"alibi": "batches", "sinks": True, "mask": "full", "bias": "batch"},
        {"dropout": 0.75, "seed": 2**40 + 3, "offset": 2**35 + 1, "causal": "upper_left"},
    ],
    ids=lambda options: "-".join(options),
)
def test_scores_in_the_direct_form(
    direct: pymfa.Device, dtype: Any, options: dict[str, Any]
) -> None:
    plain = {
        "batch": 2, "heads": (4, 2), "length": (70, 131), "width": 24, "causal": False,
        "window": None, "soft_cap": None, "alibi": "none", "sinks": False, "mask": "none",
        "bias": "none", "dropout": 0.0, "seed": 0, "offset": 0,
    }  # fmt: skip
    check(dtype, direct, {**plain, **options})
