# SPDX-License-Identifier: MIT
"""Attention's gradients against float64: the options of the forward pass, and what may be wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import philox
import pytest
from arrangements import made
from hypothesis import given, settings
from hypothesis import strategies as st
from scoring import explained
from test_attention import (
    DTYPES,
    WIDE_PAIRS,
    causal_mask,
    make_mask,
    problems,
    wide_problem,
)
from test_attention_scores import options_of, shapes
from test_attention_scores import problems as scored_problems
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


def check_scored(dtype: Any, device: pymfa.Device, problem: dict[str, Any], wide: bool) -> None:
    """Every option of the forward pass; `wide`: O and dO are float32."""
    q_shape, kv_shape, scores = shapes(problem)
    q, k, v = (made(i, s, dtype) for i, s in enumerate((q_shape, kv_shape, kv_shape)))
    out_dtype = np.dtype(np.float32) if wide else dtype
    do = made(8, q_shape, out_dtype)
    options = options_of(problem, dtype)
    reference = AttentionGradients(
        do, q, k, v, scale=q_shape[3] ** -0.5, **explained(scores, **options)
    )
    out, lse = pymfa.attention(
        q, k, v, **options, out_dtype=out_dtype, return_lse=True, device=device
    )
    added = options["mask"] if options["bias"] is None else options["bias"]
    differentiable = added is not None and added.dtype != np.bool_
    results = pymfa.attention_backward(
        do, q, k, v, out, lse, **options, return_dbias=differentiable, device=device
    )
    for name, result in zip(("dq", "dk", "dv"), results[:3], strict=True):
        assert result.dtype == dtype
        assert_within(result, reference.expected[name], reference.tolerance[name], name)
    if differentiable:
        assert results[3].dtype == added.dtype
        assert_within(results[3], *reference.summed(added.shape, added.dtype), "dbias")


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
@given(problem=scored_problems(130), wide=st.booleans())
def test_sweep_of_all_options(
    fast: pymfa.Device, dtype: Any, problem: dict[str, Any], wide: bool
) -> None:
    check_scored(dtype, fast, problem, wide)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
@given(problem=scored_problems(9), wide=st.booleans())
def test_sweep_of_all_options_small(
    device: pymfa.Device, dtype: Any, problem: dict[str, Any], wide: bool
) -> None:
    check_scored(dtype, device, problem, wide)


OPTIONS = [
    "window", "left window", "soft cap", "soft cap and mask", "alibi", "alibi, causal", "sinks",
    "bias", "bias and mask", "dropout", "dropout and mask", "float32 out",
]  # fmt: skip


def scored(kind: str, heads: int, rows: int, columns: int) -> dict[str, Any]:
    """Options of pymfa.attention."""
    attend = np.random.default_rng(3).random((rows, columns)) < 0.8
    bias = made(5, (heads, rows, columns), np.float32)
    return {
        "window": {"window": (17, 3)},
        "left window": {"window": (40, None), "causal": True},
        "soft cap": {"soft_cap": 1.5},
        "soft cap and mask": {"soft_cap": 1.5, "mask": attend},
        "alibi": {"alibi": np.linspace(0.05, 0.5, heads, dtype=np.float32)},
        "alibi, causal": {"alibi": np.linspace(0.05, 0.5, heads, dtype=np.float32), "causal": True},
        "sinks": {"sinks": np.linspace(-1, 1, heads, dtype=np.float32)},
        "bias": {"bias": bias},
        "bias and mask": {"bias": bias, "mask": attend, "causal": "upper_left"},
        "dropout": {"dropout": 0.2, "seed": 5, "offset": 9},
        "dropout and mask": {"dropout": 0.2, "seed": 6, "mask": attend},
        "float32 out": {"out_dtype": np.float32},
    }[kind]


def loss(q: Any, k: Any, v: Any, do: Any, options: dict[str, Any], bias: Any = None) -> float:
    """<dO, O> in float64, by the formulas of docs/attention.md."""
    heads, rows, width = q.shape[1:]
    columns = k.shape[2]
    k, v = (np.repeat(x, heads // x.shape[1], axis=1) for x in (k, v))
    s = q @ np.swapaxes(k, -1, -2) * width**-0.5
    if cap := options.get("soft_cap"):
        s = cap * np.tanh(s / cap)
    upper = options.get("causal") == "upper_left"
    distance = np.arange(rows)[:, None] + (0 if upper else columns - rows) - np.arange(columns)
    if (slopes := options.get("alibi")) is not None:
        s = s - slopes.astype(np.float64)[:, None, None] * np.abs(distance)
    given = options.get("bias") if bias is None else bias
    if given is not None:
        s = s + given.astype(np.float64)
    attend = np.ones((rows, columns), bool)
    if options.get("causal"):
        attend &= distance >= 0
    left, right = options.get("window", (None, None))
    if left is not None:
        attend &= distance <= left
    if right is not None:
        attend &= distance >= -right
    if options.get("mask") is not None:
        attend = attend & options["mask"]
    s = np.where(attend, s, -np.inf)
    top = np.maximum(s.max(axis=-1, keepdims=True), -1e30)
    e = np.exp(s - top)
    total = e.sum(axis=-1, keepdims=True)
    if (sinks := options.get("sinks")) is not None:
        total = total + np.exp(sinks.astype(np.float64)[:, None, None] - top)
    p = e / np.where(total == 0, 1, total)
    if rate := options.get("dropout"):
        shape = q.shape[0], heads, rows, columns
        p = p * philox.kept(shape, rate, options["seed"], options.get("offset", 0)) / (1 - rate)
    return float((do * (p @ v)).sum())


def slope(function: Any, at: Any, direction: Any) -> tuple[float, float]:
    """The derivative along a direction, by central differences in float64, and their error.

    They are off by a multiple of h^2, so a step twice as large is off by four times as much: the
    difference of both is three times the error. Rounding the two values, sums of terms that are
    about as large as they are together, adds 2^-52 of them divided by h.
    """
    h = 1e-5
    low, high = function(at - h * direction), function(at + h * direction)
    near = (high - low) / (2 * h)
    far = (function(at + 2 * h * direction) - function(at - 2 * h * direction)) / (4 * h)
    rounding = 2.0**-52 * np.sqrt(at.size) * (abs(low) + abs(high) + 1) / h
    return float(near), float(abs(far - near) / 3 + rounding)


def assert_along(
    direction: Any, actual: Any, expected: tuple[float, float], tolerance: Any, what: str
) -> None:
    """A gradient whose elements are off by e_i is off along a direction of standard normal numbers
    by a normal number of deviation |e|, e_i being at most the tolerance; five deviations happen
    once in 1.7 million."""
    derivative, error = expected
    allowed = 5 * float(np.linalg.norm(tolerance)) + error
    found = float((actual.astype(np.float64) * direction).sum())
    assert abs(found - derivative) <= allowed, f"{what}: {found}, not {derivative} +- {allowed}"


@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.parametrize("dtype", [np.dtype(np.float32), np.dtype(np.float16)], ids=str)
def test_every_option_against_finite_differences(
    fast: pymfa.Device, kind: str, dtype: np.dtype[Any]
) -> None:
    """Directional derivatives along random directions: every element of a gradient takes part."""
    heads, rows, columns, width = 4, 70, 90, 24
    options = scored(kind, heads, rows, columns)
    shapes = (2, heads, rows, width), (2, 2, columns, width), (2, 2, columns, 16)
    q, k, v = (made(i, s, dtype) for i, s in enumerate(shapes))
    do = made(4, (2, heads, rows, 16), options.get("out_dtype", dtype))
    o, lse = pymfa.attention(q, k, v, return_lse=True, device=fast, **options)
    given = {name: value for name, value in options.items() if name != "out_dtype"}
    gradients = pymfa.attention_backward(do, q, k, v, o, lse, device=fast, **given)
    exact = [x.astype(np.float64) for x in (q, k, v, do)]
    reference = AttentionGradients(
        do, q, k, v, scale=width**-0.5, **explained((2, heads, rows, columns), **given)
    )
    for i, (name, gradient) in enumerate(zip(("dq", "dk", "dv"), gradients, strict=True)):
        direction = np.random.default_rng(i).standard_normal(gradient.shape)

        def along(x: Any, i: int = i) -> float:
            inputs = [*exact[:3]]
            inputs[i] = x
            return loss(*inputs, exact[3], options)

        expected = slope(along, exact[i], direction)
        assert_along(direction, gradient, expected, reference.tolerance[name], f"{kind} {name}")


@pytest.mark.parametrize(
    "shape", [(2, 4, 70, 90), (4, 70, 90), (1, 4, 70, 90), (2, 1, 70, 90), (70, 90), (1, 90),
              (2, 1, 1, 90), (4, 70, 1), (1, 1)],
)  # fmt: skip
@pytest.mark.parametrize("as_mask", [False, True])
def test_gradient_of_a_bias(fast: pymfa.Device, shape: tuple[int, ...], as_mask: bool) -> None:
    """In the bias's own shape: summed over batches, heads, rows and columns that share it."""
    q, k, v, do = (
        made(i, s, np.float32)
        for i, s in enumerate([(2, 4, 70, 24), (2, 2, 90, 24), (2, 2, 90, 16), (2, 4, 70, 16)])
    )
    bias = made(7, shape, np.float32)
    options = {"mask" if as_mask else "bias": bias, "causal": True}
    o, lse = pymfa.attention(q, k, v, return_lse=True, device=fast, **options)
    *others, dbias = pymfa.attention_backward(
        do, q, k, v, o, lse, return_dbias=True, device=fast, **options
    )
    assert dbias.shape == shape and dbias.dtype == np.float32
    exact = [x.astype(np.float64) for x in (q, k, v, do)]
    direction = np.random.default_rng(1).standard_normal(shape)
    expected = slope(
        lambda b: loss(*exact, {"causal": True}, bias=b), bias.astype(np.float64), direction
    )
    reference = AttentionGradients(
        do, q, k, v, scale=24**-0.5, **explained((2, 4, 70, 90), **options)
    )
    exactly, tolerance = reference.summed(shape, dbias.dtype)
    assert_within(dbias, exactly, tolerance, "dbias")
    assert_along(direction, dbias, expected, tolerance, "dbias")
    plain = pymfa.attention_backward(do, q, k, v, o, lse, device=fast, **options)
    for a, b in zip(others, plain, strict=True):
        np.testing.assert_array_equal(a, b)


def arrays(rows: int = 40, columns: int = 50) -> dict[str, Any]:
    q, do = (made(i, (1, 4, rows, 16), np.float32) for i in (1, 2))
    k, v = (made(i, (1, 2, columns, 16), np.float32) for i in (3, 4))
    o, lse = pymfa.attention(q, k, v, return_lse=True)
    return {"do": do, "q": q, "k": k, "v": v, "o": o, "lse": lse}


def test_one_pass_and_two_passes_agree(fast: pymfa.Device) -> None:
    """All gradients at once, in one pass where heads suffice for the workers, or one by one."""
    given = arrays(150, 170)
    together = pymfa.attention_backward(**given, device=fast)
    for i, name in enumerate(("dq", "dk", "dv")):
        alone = pymfa.attention_backward(**given, wanted=(name,), device=fast)
        assert [x is None for x in alone] == [j != i for j in range(3)]
        np.testing.assert_allclose(alone[i], together[i], rtol=1e-4, atol=1e-5)


def test_results_are_the_same_every_time(fast: pymfa.Device) -> None:
    given = arrays(150, 170)
    first = pymfa.attention_backward(**given, device=fast)
    for _ in range(3):
        for a, b in zip(first, pymfa.attention_backward(**given, device=fast), strict=True):
            np.testing.assert_array_equal(a, b)


def test_rows_that_see_nothing_have_no_gradient(device: pymfa.Device) -> None:
    q, k, v, do = (made(i, (1, 1, 5, 8), np.float32) for i in range(4))
    mask = np.ones((5, 5), bool)
    mask[2] = False
    o, lse = pymfa.attention(q, k, v, mask=mask, return_lse=True, device=device)
    dq, dk, dv = pymfa.attention_backward(do, q, k, v, o, lse, mask=mask, device=device)
    assert (dq[0, 0, 2] == 0).all()
    assert np.isfinite(dk).all() and np.isfinite(dv).all()


@pytest.mark.parametrize(("rows", "columns"), [(0, 3), (3, 0), (0, 0), (1, 1)])
def test_no_rows_and_no_columns(device: pymfa.Device, rows: int, columns: int) -> None:
    q, do = (made(i, (1, 2, rows, 8), np.float32) for i in range(2))
    k, v = (made(i, (1, 2, columns, 8), np.float32) for i in range(2))
    o, lse = pymfa.attention(q, k, v, return_lse=True, device=device)
    dq, dk, dv = pymfa.attention_backward(do, q, k, v, o, lse, device=device)
    assert (dq == 0).all() and (dk == 0).all() and dq.shape == q.shape and dv.shape == v.shape
    if columns != 1:
        assert (dv == 0).all()


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
@settings(max_examples=8)
@given(problem=problems(70, wide=True))
def test_sweep_wide(fast: pymfa.Device, dtype: Any, problem: dict[str, Any]) -> None:
    check(dtype, fast, problem)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
@pytest.mark.parametrize("index", range(len(WIDE_PAIRS)), ids=map(str, WIDE_PAIRS))
def test_wide_heads(device: pymfa.Device, dtype: Any, index: int) -> None:
    check(dtype, device, wide_problem(index))


def test_gradients_go_where_they_are_told(device: pymfa.Device) -> None:
    given = arrays()
    expected = pymfa.attention_backward(**given, device=device)
    dq = np.zeros((1, 4, 40, 20), np.float32)[..., :16]
    dk = np.zeros((1, 2, 16, 50), np.float32).swapaxes(2, 3)
    results = pymfa.attention_backward(**given, dq=dq, dk=dk, device=device)
    assert results[0] is dq and results[1] is dk
    for a, b in zip(results, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_in_one_command_buffer(device: pymfa.Device) -> None:
    given = arrays()
    o, lse = np.zeros_like(given["o"]), np.zeros_like(given["lse"])
    with device.commands() as commands:
        commands.attention(given["q"], given["k"], given["v"], out=o, lse=lse)
        results = commands.attention_backward(
            given["do"], given["q"], given["k"], given["v"], o, lse
        )
    expected = pymfa.attention_backward(**given, device=device)
    for a, b in zip(results, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "another type": ({"k": np.zeros((1, 2, 50, 16), np.float16)}, "k has dtype"),
    "do of another shape": ({"do": np.zeros((1, 4, 41, 16), np.float32)}, "do has shape"),
    "do of another type": ({"do": np.zeros((1, 4, 40, 16), np.float16)}, "do has dtype"),
    "lse of another shape": ({"lse": np.zeros((4, 40), np.float32)}, "lse has shape"),
    "lse of another type": ({"lse": np.zeros((1, 4, 40), np.float64)}, "lse has dtype"),
    "dq of another shape": ({"dq": np.zeros((1, 4, 40, 15), np.float32)}, "dq has shape"),
    "no gradient": ({"wanted": ()}, "wanted"),
    "another gradient": ({"wanted": ("dx",)}, "wanted"),
    "one that is not wanted": (
        {"wanted": ("dk",), "dq": np.zeros((1, 4, 40, 16), np.float32)}, "wanted",
    ),
    "no bias": ({"return_dbias": True}, "bias"),
    "a boolean mask": ({"return_dbias": True, "mask": np.ones((40, 50), bool)}, "boolean"),
    "heads": ({"k": np.zeros((1, 3, 50, 16), np.float32)}, "heads"),
    "scale": ({"scale": np.inf}, "scale"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name: str) -> None:
    changed, message = BAD[name]
    with pytest.raises((ValueError, TypeError), match=message):
        pymfa.attention_backward(**(arrays() | changed))


def test_outputs_may_not_overlap_inputs() -> None:
    given = arrays()
    with pytest.raises(ValueError, match="dq overlaps q"):
        pymfa.attention_backward(**given, dq=given["q"])
    read_only = np.zeros((1, 4, 40, 16), np.float32)
    read_only.flags.writeable = False
    with pytest.raises(ValueError, match="dq is read-only"):
        pymfa.attention_backward(**given, dq=read_only)


def test_what_is_planned_can_be_asked(fast: pymfa.Device) -> None:
    forward = pymfa.AttentionDesc(R=128, C=256, D=64, H=fast.workers or 1, dtype=np.float32)
    told = fast.explain(pymfa.AttentionBackwardDesc(forward))
    assert told.kernel == "attention" and "backward=1" in told.variant
    assert told.workspace < 4 * 128 * (fast.workers or 1) * (64 + 1) + 4096
    assert fast.supported(pymfa.AttentionBackwardDesc(forward)) == (True, "")
    huge = pymfa.AttentionDesc(R=8, C=8, D=60000)
    good, why = fast.supported(pymfa.AttentionBackwardDesc(huge))
    assert not good and "threadgroup memory" in why
    with pytest.raises(ValueError, match="neither a bias nor an additive mask"):
        fast.explain(pymfa.AttentionBackwardDesc(forward, dbias=True))
