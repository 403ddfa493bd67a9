# SPDX-License-Identifier: MIT
"""Few queries to long caches, packed batches and merged results, against float64."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from arrangements import made
from hypothesis import given
from hypothesis import strategies as st
from philox import kept
from scoring import explained, of_sequence, reach
from tolerance import Attention, AttentionGradients, assert_within, bfloat16, summed_gradient

import pymfa

DTYPES = [np.dtype(np.float16), np.dtype(np.float32), bfloat16]


@st.composite
def problems(draw: st.DrawFn, largest: int) -> dict[str, Any]:
    kv_heads = draw(st.sampled_from([1, 2]))
    widths = [d for d in [1, 7, 32, 33, 64, 80, 128, 200] if d <= largest]
    bits = draw(st.sampled_from([0, 0, 8, 4]))
    if bits:
        widths = [32, 64, 96, 128]
    return {
        "batch": draw(st.sampled_from([1, 2, 3])),
        "heads": (kv_heads * draw(st.sampled_from([1, 2, 5, 8])), kv_heads),
        "queries": draw(st.sampled_from([1, 1, 2, 3, 7, 16])),
        "keys": draw(
            st.sampled_from([n for n in [1, 5, 31, 32, 33, 64, 100, 777] if n <= largest])
        ),
        "width": (draw(st.sampled_from(widths)), draw(st.sampled_from(widths))),
        "layout": draw(st.sampled_from(["BHND", "BNHD"])),
        "bits": bits,
        "page_size": draw(st.sampled_from([0, 0, 1, 16, 48])),
        "lengths": draw(st.booleans()),
        "splits": draw(st.sampled_from([None, 1, 2, 5])),
        "causal": draw(st.sampled_from([True, False, "upper_left"])),
        "window": draw(st.sampled_from([None, None, (10, None), (3, 2)])),
        "soft_cap": draw(st.sampled_from([None, None, 3.0])),
        "alibi": draw(st.booleans()),
        "sinks": draw(st.booleans()),
        "mask": draw(st.sampled_from(["none", "none", "bool", "additive"])),
        "seed": draw(st.integers(0, 3)),
    }


def quantized(x: Any, bits: int, group: int) -> tuple[Any, Any]:
    """What is stored, and the numbers it stands for."""
    if not bits:
        return x, x
    stored = pymfa.quantize_kv(x, bits=bits, group_size=group)
    return stored, stored.dequantize()


def apply(stored: Any, change: Any) -> Any:
    """The same view of an array, or of all parts of a quantized one."""
    if isinstance(stored, np.ndarray):
        return change(stored)
    parts = (change(x) for x in (stored.values, stored.scales, stored.biases))
    return pymfa.QuantizedKV(*parts, stored.bits, stored.group_size)


def into_pages(stored: Any, table: Any, page_size: int, pages: int) -> Any:
    """[batch, head, key, ...] -> [page, head, place, ...]; places without a key hold rubbish."""

    def change(x: Any) -> Any:
        fill = 255 if x.dtype == np.uint8 else np.nan
        out = np.full((pages, x.shape[1], page_size, x.shape[3]), fill, x.dtype)
        for b, i in np.ndindex(*table.shape):
            part = x[b, :, i * page_size : (i + 1) * page_size]
            out[table[b, i], :, : part.shape[1]] = part
        return out

    return apply(stored, change)


def check(dtype: Any, device: pymfa.Device, problem: dict[str, Any]) -> None:
    b, (h, hkv), r, c = (problem[key] for key in ("batch", "heads", "queries", "keys"))
    d, dv = problem["width"]
    rng = np.random.default_rng(problem["seed"])
    q = made(1, (b, h, r, d), dtype)
    group = 64 if d % 64 == dv % 64 == 0 else 32
    (k, k_exact), (v, v_exact) = (
        quantized(made(i, (b, hkv, c, w), dtype), problem["bits"], group)
        for i, w in ((2, d), (3, dv))
    )
    lengths = rng.integers(0, c + 1, b) if problem["lengths"] else np.full(b, c)
    table = None
    room = c
    if problem["page_size"]:
        page = problem["page_size"]
        count = -(-c // page)
        room = count * page
        table = rng.permutation(b * count + 2)[: b * count].reshape(b, count).astype(np.int32)
        k, v = (into_pages(x, table, page, b * count + 2) for x in (k, v))
    mask = slopes = sinks = None
    if problem["mask"] != "none":
        mask = made(5, (b, 1, r, room), dtype)
        if problem["mask"] == "bool":
            mask = mask < 1
    if problem["alibi"]:
        slopes = rng.random((b, h), np.float32)
    if problem["sinks"]:
        sinks = made(7, (h,), np.float32)

    swap = (lambda x: np.swapaxes(x, 1, 2)) if problem["layout"] == "BNHD" else (lambda x: x)
    out, lse = pymfa.attention_decode(
        swap(q), apply(k, swap), apply(v, swap), block_table=table,
        lengths=lengths if problem["lengths"] or table is not None else None,
        **{key: problem[key] for key in ("causal", "window", "soft_cap", "splits", "layout")},
        alibi=slopes, sinks=sinks, mask=mask, return_lse=True, device=device,
    )  # fmt: skip
    out = swap(out)
    for i, n in enumerate(lengths):
        attend, distance = reach(r, int(n), problem["causal"], problem["window"])
        added = np.zeros((1, h, r, n))
        if slopes is not None:
            added = added - slopes[i, None, :, None, None] * np.abs(distance)
        if mask is not None and mask.dtype == np.bool_:
            attend = attend & mask[i, 0, :, :n]
        elif mask is not None:
            added = added + mask[i, :, :, :n].astype(np.float64)
        # Quantized caches are exact to the reference: what they stand for has more digits than q.
        kind = np.dtype(np.float32) if problem["bits"] else dtype
        exact = (x[i : i + 1, :, :n].astype(kind) for x in (k_exact, v_exact))
        reference = Attention(
            q[i : i + 1].astype(kind), *exact, scale=d**-0.5,
            attend=np.broadcast_to(attend, (1, h, r, n)),
            bias=np.broadcast_to(added, (1, h, r, n)), soft_cap=problem["soft_cap"], sinks=sinks,
        )  # fmt: skip
        score, value = decoding_errors(problem["bits"], q[i], k_exact[i], v_exact[i])
        moved = 2 * score * np.abs(v_exact[i]).max(initial=0) + value
        tolerance = reference.tolerance + rounding(reference.expected, dtype) + moved
        assert_within(out[i : i + 1], reference.expected, tolerance, f"O[{i}]")
        assert_within(lse[i : i + 1], reference.lse, reference.lse_tolerance + score, f"LSE[{i}]")


def decoding_errors(bits: int, q: Any, k: Any, v: Any) -> tuple[float, float]:
    """What float32 makes of scale * n + bias, in a score and in an element of V.

    The terms are at most twice and once as large as the largest element of their group. Product
    and sum are rounded, in the kernel and in the float32 numbers the reference is given.
    """
    if not bits:
        return 0.0, 0.0
    step = 2 * 3 * 2.0**-24
    top_k, top_v = (float(np.abs(x).max(initial=0)) for x in (k, v))
    weight = float(np.abs(q.astype(np.float64)).sum(axis=-1).max(initial=0)) * q.shape[-1] ** -0.5
    return weight * top_k * step, top_v * step


def rounding(expected: Any, dtype: Any) -> Any:
    """One rounding of the output, which the tolerance of float32 does not contain."""
    unit = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 0.0}[dtype.name]
    return unit * np.abs(expected) + (2.0**-24 if dtype == np.float16 else 0)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
@given(problem=problems(1000))
def test_decode(fast: pymfa.Device, dtype: Any, problem: dict[str, Any]) -> None:
    check(dtype, fast, problem)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
@given(problem=problems(40))
def test_decode_small(device: pymfa.Device, dtype: Any, problem: dict[str, Any]) -> None:
    check(dtype, device, problem)


def test_a_cache_in_half_precision_serves_float32_queries(device: pymfa.Device) -> None:
    q = made(1, (1, 4, 1, 64), np.float32)
    k, v = (made(i, (1, 2, 50, 64), np.float16) for i in (2, 3))
    out = pymfa.attention_decode(q, k, v, device=device)
    assert out.dtype == np.float32
    wide = [x.astype(np.float32) for x in (k, v)]
    reference = Attention(q, *wide, scale=0.125)
    assert_within(out, reference.expected, reference.tolerance)


def test_no_keys(device: pymfa.Device) -> None:
    q, k = np.ones((2, 2, 1, 32), np.float32), np.ones((2, 1, 0, 32), np.float32)
    out, lse = pymfa.attention_decode(q, k, k, return_lse=True, device=device)
    assert (out == 0).all() and np.isneginf(lse).all()
    full = np.ones((2, 1, 9, 32), np.float32)
    out, lse = pymfa.attention_decode(
        q, full, full, lengths=np.array([0, 9]), return_lse=True, device=device
    )
    assert (out[0] == 0).all() and np.isneginf(lse[0]).all()
    np.testing.assert_allclose(out[1], 1, rtol=1e-6)


def test_explain_and_supported() -> None:
    desc = pymfa.DecodeDesc(
        pymfa.AttentionDesc(R=1, C=8192, D=128, H=8, Hkv=2), bits=4, page_size=64, pages=500
    )
    assert pymfa.supported(desc) == (True, "")
    found = pymfa.explain(desc)
    assert found.kernel == "decode" and "KV_bits=4" in found.variant
    assert found.workspace > 0  # two heads are too few for all workers
    good, why = pymfa.supported(pymfa.DecodeDesc(pymfa.AttentionDesc(R=17, C=9, D=8)))
    assert not good and "R is 17" in why


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("group_size", [32, 64])
def test_quantization_is_within_half_a_step(bits: int, group_size: int) -> None:
    x = made(1, (3, 5, 192), np.float32)
    stored = pymfa.quantize_kv(x, bits=bits, group_size=group_size)
    assert stored.values.shape == (3, 5, 192 * bits // 8) and stored.width == 192
    step = np.repeat(stored.scales, group_size, axis=-1)
    assert (np.abs(stored.dequantize() - x) <= step * 0.5 + 1e-6).all()
    constant = pymfa.quantize_kv(np.full((1, 64), 3.0, np.float32), bits=bits)
    assert (constant.dequantize() == 3).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lengths": np.array([10])}, "lengths has 10"),
        ({"lengths": np.array([-1])}, "lengths has -1"),
        ({"lengths": np.array([1.0])}, "lengths has dtype"),
        ({"lengths": np.array([1, 2])}, "lengths has shape"),
        ({"block_table": np.array([[1]])}, "page 1"),
        ({"block_table": np.array([0])}, "block_table has shape"),
        ({"splits": 0}, "splits"),
        ({"v": np.zeros((1, 1, 8, 64), np.float16)}, "not stored in the same way"),
        ({"k": np.zeros((1, 1, 9, 128), np.float32)[..., ::2]}, "contiguous"),
        ({"q": np.zeros((1, 2, 17, 64), np.float32)}, "R is 17"),
        ({"q": np.zeros((1, 2, 1, 63), np.float32)}, "elements to a key"),
    ],
)
def test_bad_input_is_named(change: dict[str, Any], words: str) -> None:
    x = np.zeros((1, 1, 9, 64), np.float32)
    arguments = {"q": np.zeros((1, 2, 1, 64), np.float32), "k": x, "v": x, **change}
    with pytest.raises(pymfa.Error, match=words):
        pymfa.attention_decode(
            arguments.pop("q"), arguments.pop("k"), arguments.pop("v"), **arguments
        )


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
@pytest.mark.parametrize("layout", ["BHND", "BNHD"])
def test_merged_parts_are_the_whole(device: pymfa.Device, dtype: Any, layout: str) -> None:
    q, k, v = (made(i, (2, 3, n, 24), dtype) for i, n in ((1, 9), (2, 70), (3, 70)))
    mask = np.random.default_rng(4).random((9, 70)) < 0.7
    mask[3, :50] = mask[4, 50:] = mask[5] = False  # sees one part only, the other, nothing
    swap = (lambda x: np.swapaxes(x, 1, 2)) if layout == "BNHD" else (lambda x: x)
    parts = []
    for keys in (slice(0, 50), slice(50, 70)):
        parts += pymfa.attention(
            swap(q), swap(k[:, :, keys]), swap(v[:, :, keys]), mask=mask[:, keys], layout=layout,
            return_lse=True, device=device,
        )  # fmt: skip
    out, lse = pymfa.merge_attention(*parts, layout=layout, device=device)
    reference = Attention(q, k, v, scale=24**-0.5, attend=np.broadcast_to(mask, (2, 3, 9, 70)))
    # The parts were rounded once more.
    tolerance = reference.tolerance + 2 * rounding(np.abs(v.astype(float)).max(), dtype)
    assert_within(swap(out), reference.expected, tolerance, "O")
    assert_within(lse, reference.lse, reference.lse_tolerance, "LSE")


def test_merging_ignores_what_has_no_weight(device: pymfa.Device) -> None:
    o = made(1, (5, 8), np.float32)
    lse = made(2, (5,), np.float32)
    nothing = np.full((5, 8), np.nan, np.float32), np.full(5, -np.inf, np.float32)
    out, total = pymfa.merge_attention(*nothing, o, lse, device=device)
    np.testing.assert_array_equal(out, o)
    np.testing.assert_allclose(total, lse, rtol=1e-6)
    out, total = pymfa.merge_attention(*nothing, *nothing, device=device)
    assert (out == 0).all() and np.isneginf(total).all()


@st.composite
def packed(draw: st.DrawFn) -> dict[str, Any]:
    lengths = st.sampled_from([0, 1, 2, 7, 33, 64, 65, 100])
    batch = draw(st.integers(1, 4))
    kv_heads = draw(st.sampled_from([1, 2]))
    return {
        "rows": [draw(lengths) for _ in range(batch)],
        "columns": [draw(lengths) for _ in range(batch)],
        "heads": (kv_heads * draw(st.sampled_from([1, 3])), kv_heads),
        "width": draw(st.sampled_from([8, 17, 64])),
        "causal": draw(st.sampled_from([False, True, "upper_left"])),
        "window": draw(st.sampled_from([None, (9, 0), (20, 5)])),
        "soft_cap": draw(st.sampled_from([None, None, 1.5])),
        "alibi": draw(st.sampled_from(["none", "none", "heads", "sequences"])),
        "sinks": draw(st.booleans()),
        "mask": draw(st.sampled_from(["none", "none", "bool", "additive"])),
        "bias": draw(st.sampled_from(["none", "none", "full", "heads", "rows", "columns"])),
        "dropout": draw(st.sampled_from([0.0, 0.0, 0.3])),
        "out_dtype": draw(st.sampled_from([None, None, np.float32])),
    }


def packed_options(problem: dict[str, Any], dtype: Any) -> dict[str, Any]:
    """Of pymfa.attention_varlen."""
    h, batch = problem["heads"][0], len(problem["rows"])
    rows, columns = max(problem["rows"]), max(problem["columns"])
    rng = np.random.default_rng(0)
    slopes = mask = bias = None
    if problem["alibi"] != "none":
        slopes = rng.random((batch, h)[problem["alibi"] == "heads" :], np.float32)
    if problem["mask"] == "bool":
        mask = rng.random((batch, 1, rows, columns)) < 0.7
    elif problem["mask"] == "additive":
        mask = made(5, (batch, 1, rows, columns), dtype)
    if problem["bias"] != "none":
        shape = {
            "full": (batch, h, rows, columns), "heads": (h, rows, columns),
            "rows": (batch, h, rows, 1), "columns": (batch, 1, 1, columns),
        }[problem["bias"]]  # fmt: skip
        bias = made(6, shape, np.float32)
    names = ("causal", "window", "soft_cap", "dropout")
    return {
        **{name: problem[name] for name in names}, "alibi": slopes, "mask": mask, "bias": bias,
        "sinks": made(7, (h,), np.float32) if problem["sinks"] else None, "seed": 3, "offset": 2,
    }  # fmt: skip


def sequences(problem: dict[str, Any], options: dict[str, Any]) -> Iterator[Any]:
    """Of each one its number, its rows, its keys, and what tolerance.py takes of its options."""
    starts = [np.cumsum([0, *problem[key]]) for key in ("rows", "columns")]
    h = problem["heads"][0]
    for i, (r, c) in enumerate(zip(problem["rows"], problem["columns"], strict=True)):
        own = explained((1, h, r, c), **of_sequence(options, i, r, c))
        if options["dropout"]:
            shape = (i + 1, h, r, c)
            own["keep"] = kept(shape, options["dropout"], options["seed"], options["offset"])[i:]
        yield i, *(slice(*s[i : i + 2]) for s in starts), own


def of_heads(x: Any, part: slice) -> Any:
    """[1, head, row, width] of one sequence."""
    return np.swapaxes(x[part], 0, 1)[None]


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
@given(problem=packed())
def test_packed_batches(device: pymfa.Device, dtype: Any, problem: dict[str, Any]) -> None:
    if device.name == "reference" and sum(problem["rows"]) > 70:
        return
    (h, hkv), d = problem["heads"], problem["width"]
    starts = [np.cumsum([0, *problem[key]]) for key in ("rows", "columns")]
    rows, columns = (int(s[-1]) for s in starts)
    q, k, v = (made(i, s, dtype) for i, s in enumerate([(rows, h, d)] + 2 * [(columns, hkv, d)]))
    options = packed_options(problem, dtype)
    out, lse = pymfa.attention_varlen(q, k, v, *starts, **options, return_lse=True, device=device)
    assert out.shape == q.shape and lse.shape == (h, len(q))
    for i, own, keys, explanation in sequences(problem, options):
        if own.start == own.stop:
            continue
        one = of_heads(q, own), of_heads(k, keys), of_heads(v, keys)
        reference = Attention(*one, scale=d**-0.5, **explanation)
        assert_within(of_heads(out, own), reference.expected, reference.tolerance, f"O[{i}]")
        assert_within(lse[None, :, own], reference.lse, reference.lse_tolerance, f"LSE[{i}]")


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
@given(problem=packed())
def test_gradients_of_packed_batches(
    device: pymfa.Device, dtype: Any, problem: dict[str, Any]
) -> None:
    if device.name == "reference" and sum(problem["rows"]) > 70:
        return
    (h, hkv), d = problem["heads"], problem["width"]
    starts = [np.cumsum([0, *problem[key]]) for key in ("rows", "columns")]
    rows, columns = (int(s[-1]) for s in starts)
    q, k, v = (made(i, s, dtype) for i, s in enumerate([(rows, h, d)] + 2 * [(columns, hkv, d)]))
    out_dtype = problem["out_dtype"]
    do = made(8, (rows, h, d), dtype if out_dtype is None else out_dtype)
    options = packed_options(problem, dtype)
    added = options["mask"] if options["bias"] is None else options["bias"]
    differentiable = added is not None and added.dtype != np.bool_
    out, lse = pymfa.attention_varlen(
        q, k, v, *starts, out_dtype=out_dtype, return_lse=True, device=device, **options
    )
    found = pymfa.attention_varlen_backward(
        do, q, k, v, out, lse, *starts, device=device, return_dbias=differentiable, **options
    )
    longest = max(problem["rows"]), max(problem["columns"])
    exact, naive, allowed = (np.zeros((len(problem["rows"]), h, *longest)) for _ in range(3))
    for i, own, keys, explanation in sequences(problem, options):
        r, c = own.stop - own.start, keys.stop - keys.start
        if r == 0 or c == 0:
            for result, part in zip(found[:3], (own, keys, keys), strict=True):
                assert not result[part].any()
            continue
        one = [of_heads(x, s) for x, s in ((do, own), (q, own), (k, keys), (v, keys))]
        reference = AttentionGradients(*one, scale=d**-0.5, **explanation)
        for name, result, part in zip(("dq", "dk", "dv"), found, (own, keys, keys), strict=False):
            assert result.dtype == dtype
            bounds = reference.expected[name], reference.tolerance[name]
            assert_within(of_heads(result, part), *bounds, f"{name}[{i}]")
        for all_, x in zip((exact, naive, allowed), reference.dbias, strict=True):
            all_[i, :, :r, :c] = x[0]
    if differentiable:
        assert found[3].dtype == added.dtype
        bounds = summed_gradient((exact, naive, allowed), added.shape, added.dtype)
        assert_within(found[3], *bounds, "dbias")


def test_bad_input_to_gradients_of_packed_batches() -> None:
    x, starts, lse = np.zeros((4, 1, 8), np.float32), np.array([0, 4]), np.zeros((1, 4), np.float32)
    good = [x, x, x, x, x, lse, starts, starts]
    for place, value, words in (
        (0, x[:3], "do has shape"), (4, x[..., :7], "o has shape"), (5, lse[0], "lse has shape"),
        (6, np.array([0, 3]), "cu_seqlens_q"), (0, x.astype(np.float16), "do has dtype"),
    ):  # fmt: skip
        given = [*good]
        given[place] = value
        with pytest.raises(pymfa.Error, match=words):
            pymfa.attention_varlen_backward(*given)
    with pytest.raises(pymfa.Error, match="wanted"):
        pymfa.attention_varlen_backward(*good, wanted=())
    with pytest.raises(pymfa.Error, match="dq overlaps q"):
        pymfa.attention_varlen_backward(*good, dq=x)


@pytest.mark.parametrize(
    "starts", [[0, 3], [1, 4], [0, 3, 2, 4], [[0, 4]], [], [0.0, 4.0]], ids=str
)
def test_bad_starts_are_named(starts: list[Any]) -> None:
    x = np.zeros((4, 1, 8), np.float32)
    with pytest.raises(pymfa.Error, match="cu_seqlens_q"):
        pymfa.attention_varlen(x, x, x, np.array(starts), np.array([0, 4]))
