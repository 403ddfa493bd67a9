# SPDX-License-Identifier: MIT
"""What is wrong with the input of decoding, merging and packed attention is named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pymfa

HALF, SINGLE = np.float16, np.float32


def zeros(*shape: int, dtype: Any = SINGLE) -> Any:
    return np.zeros(shape, dtype)


def read_only(*shape: int) -> Any:
    array = zeros(*shape)
    array.flags.writeable = False
    return array


def misaligned(*shape: int) -> Any:
    """Elements that begin one byte behind where they should."""
    count = int(np.prod(shape))
    return np.zeros(count * 4 + 1, np.uint8)[1:].view(SINGLE).reshape(shape)


def swapped(*shape: int) -> Any:
    return np.zeros(shape, ">f4")


def stored(bits: int = 8, group_size: int = 64, **changed: Any) -> Any:
    parts = {
        "values": zeros(1, 1, 9, 64 * bits // 8, dtype=np.uint8),
        "scales": zeros(1, 1, 9, 64 // 64, dtype=HALF),
        "biases": zeros(1, 1, 9, 64 // 64, dtype=HALF),
    }
    return pymfa.QuantizedKV(**(parts | changed), bits=bits, group_size=group_size)


repeated = np.lib.stride_tricks.as_strided


def integers(*values: Any, dtype: Any = np.int64) -> Any:
    return np.array(values, dtype)


X = zeros(1, 1, 9, 64)
TABLE = {"block_table": integers([0]), "lengths": integers(9)}
# What is changed of good arguments, and the message.
DECODE: dict[str, tuple[dict[str, Any], str]] = {
    "q: no array": ({"q": "text"}, "q is a str; expected an array"),
    "q: float64": ({"q": zeros(1, 2, 1, 64, dtype=np.float64)}, "q has dtype float64; expected"),
    "q: integers": ({"q": zeros(1, 2, 1, 64, dtype=np.int32)}, "q has dtype int32; expected"),
    "q: bytes": ({"q": swapped(1, 2, 1, 64)}, "q has byte order >f4; expected native"),
    "q: three axes": ({"q": zeros(2, 1, 64)}, r"q has shape \(2, 1, 64\); expected 4"),
    "q: batches": ({"q": zeros(3, 2, 1, 64)}, "k has 1 batches; expected 3 as q has"),
    "q: rows": ({"q": zeros(1, 2, 17, 64)}, "R is 17, at most 16"),
    "q: width": ({"q": zeros(1, 2, 1, 63)}, "k has 64 elements to a key; expected 63"),
    "q: no width": ({"q": zeros(1, 2, 1, 0), "k": zeros(1, 1, 9, 0)}, "no elements per head"),
    "q: heads": (
        {"q": zeros(1, 3, 1, 64), "k": zeros(1, 2, 9, 64), "v": zeros(1, 2, 9, 64)},
        "q has 3 heads and k has 2; expected a divisor",
    ),
    "k: float64": ({"k": X.astype(np.float64)}, "k has dtype float64; expected"),
    "k: three axes": ({"k": X[0]}, r"k has shape \(1, 9, 64\); expected 4"),
    "k: no heads": ({"k": X[:, :0], "v": X[:, :0]}, "q has 2 heads and k has 0"),
    "k: turned": ({"k": zeros(1, 1, 64, 9).swapaxes(2, 3)}, "k has strides of .* contiguous"),
    "k: backwards": ({"k": X[:, :, ::-1]}, "k has strides of .* contiguous"),
    "v: another type": ({"v": X.astype(HALF)}, "k is 1 x 1 x 9 float32, v is 1 x 1 x 9 float16"),
    "v: another length": ({"v": X[:, :, :8]}, "k is 1 x 1 x 9 .* v is 1 x 1 x 8"),
    "v: quantized": ({"v": stored()}, "v is 1 x 1 x 9 float16 in 8 bits, groups of 64"),
    "v: no width": ({"v": X[..., :0]}, "v has no elements per head"),
    "bits": ({"k": stored(bits=5), "v": stored()}, "k: bits is 5; expected 4 or 8"),
    "group_size": ({"k": stored(group_size=0), "v": stored()}, "k: group_size is 0; expected 32"),
    "values: floats": (
        {"k": stored(values=X), "v": stored()}, "k.values has dtype float32; expected uint8",
    ),
    "values: width": (
        {"k": stored(values=zeros(1, 1, 9, 60, dtype=np.uint8)), "v": stored()},
        "k.values has 60 numbers to a row; expected a multiple of group_size = 64",
    ),
    "scales: integers": (
        {"k": stored(scales=zeros(1, 1, 9, 1, dtype=np.int8)), "v": stored()},
        "k.scales has dtype int8; expected",
    ),
    "scales: shape": (
        {"k": stored(scales=zeros(1, 1, 9, 2, dtype=HALF)), "v": stored()},
        r"k.scales has shape \(1, 1, 9, 2\); expected \(1, 1, 9, 1\)",
    ),
    "biases: another type": (
        {"k": stored(biases=zeros(1, 1, 9, 1)), "v": stored()},
        "k.biases has dtype float32; expected float16",
    ),
    "biases: strides": (
        {"k": stored(biases=zeros(1, 1, 18, 1, dtype=HALF)[:, :, ::2]), "v": stored()},
        "k.biases has strides of .* expected .* as k.scales has",
    ),
    "lengths: too many keys": ({"lengths": integers(10)}, "lengths has 10; expected at most 9"),
    "lengths: huge": ({"lengths": integers(2**40)}, "lengths has 1099511627776; expected at most"),
    "lengths: negative": ({"lengths": integers(-1)}, "lengths has -1; expected nothing below 0"),
    "lengths: floats": ({"lengths": integers(1.0, dtype=SINGLE)}, "lengths has dtype float32"),
    "lengths: bool": ({"lengths": integers(True, dtype=bool)}, "lengths has dtype bool"),
    "lengths: too many": ({"lengths": integers(1, 2)}, r"has shape \(2,\); expected \(1,\)"),
    "lengths: a list": ({"lengths": [9]}, "lengths is a list; expected an array"),
    "table: beyond the pages": ({"block_table": integers([1])}, "page 1; expected at most 0"),
    "table: huge": ({"block_table": integers([2**32])}, "page 4294967296; expected at most 0"),
    "table: negative": ({"block_table": integers([-1])}, "has page -1; expected nothing"),
    "table: floats": ({"block_table": zeros(1, 1)}, "block_table has dtype float32; expected int"),
    "table: one axis": ({"block_table": integers(0)}, r"shape \(1,\); expected \(1, pages\)"),
    "table: batches": (
        {"block_table": integers([0], [0])}, r"shape \(2, 1\); expected \(1, pages\)",
    ),
    "table: no pages": ({"block_table": zeros(1, 0, dtype=int), "lengths": integers(1)},
                        "lengths has 1; expected at most 0"),
    "table: longer than that": ({**TABLE, "lengths": integers(10)}, "lengths has 10; expected"),
    "splits: none": ({"splits": 0}, "splits is 0; expected 1 to"),
    "splits: negative": ({"splits": -3}, "splits is -3; expected 1 to"),
    "splits: text": ({"splits": "2"}, "splits is a str; expected an integer"),
    "splits: half": ({"splits": 2.5}, "splits is a float; expected an integer"),
    "layout": ({"layout": "BDNH"}, "layout is 'BDNH'; expected"),
    "causal": ({"causal": "left"}, "causal is 'left'; expected"),
    "scale": ({"scale": np.nan}, "scale is nan, expected"),
    "mask: shape": ({"mask": zeros(2, 9)[:, :8]}, r"mask has shape \(2, 8\), which does not"),
    "mask: integers": ({"mask": zeros(9, dtype=np.int32)}, "mask has dtype int32; expected bool"),
    "sinks": ({"sinks": zeros(3)}, r"sinks has shape \(3,\); expected \(2,\)"),
    "alibi": ({"alibi": zeros(2, dtype=np.float64)}, "alibi has dtype float64; expected float32"),
    "window": ({"window": (-2, 0)}, r"window is \(-2, 0\); expected nothing below 0"),
    "out: shape": ({"out": zeros(1, 2, 1, 63)}, r"out has shape \(1, 2, 1, 63\); expected"),
    "out: type": ({"out": zeros(1, 2, 1, 64, dtype=HALF)}, "out has dtype float16; expected"),
    "out: read-only": ({"out": read_only(1, 2, 1, 64)}, "out is read-only"),
    "out: misaligned": ({"out": misaligned(1, 2, 1, 64)}, "out.*aligned|aligned"),
    "out: repeated": ({"out": repeated(X, (1, 2, 1, 64), (0, 0, 0, 4))}, "elements overlap"),
    "out_dtype": ({"out_dtype": HALF}, "out_dtype is float16; expected float32$"),
}  # fmt: skip


@pytest.mark.parametrize("name", DECODE)
def test_decode(name: str) -> None:
    changed, message = DECODE[name]
    given = {"q": zeros(1, 2, 1, 64), "k": X, "v": X} | changed
    with pytest.raises(pymfa.Error, match=message):
        pymfa.attention_decode(given.pop("q"), given.pop("k"), given.pop("v"), **given)


def test_decode_does_not_write_over_its_cache() -> None:
    cache = zeros(1, 2, 1, 64)
    with pytest.raises(ValueError, match="out overlaps k"):
        pymfa.attention_decode(zeros(1, 2, 1, 64), cache, cache.copy(), out=cache)
    x, lse = zeros(1, 1, 1, 64), zeros(1, 1, 1)
    commands = pymfa.device().commands()
    with pytest.raises(ValueError, match=r"lse has shape \(1, 1\); expected \(1, 1, 1\)"):
        commands.attention_decode(x, x, x, lse=lse[0])
    with pytest.raises(TypeError, match="lse has dtype float64; expected float32"):
        commands.attention_decode(x, x, x, lse=lse.astype(np.float64))
    out = zeros(1, 1, 1, 64)
    with pytest.raises(ValueError, match="out overlaps lse"):
        commands.attention_decode(x, x, x, lse=out[..., 0], out=out)


OUT, LSE = zeros(2, 3, 8), zeros(2, 3)
MERGE: dict[str, tuple[dict[str, Any], str]] = {
    "o1: no array": ({"o1": 3}, "o1 is a int; expected an array"),
    "o1: float64": ({"o1": OUT.astype(np.float64)}, "o1 has dtype float64; expected"),
    "o1: one axis": ({"o1": zeros(8)}, r"o1 has shape \(8,\); expected"),
    "o1: five axes": ({"o1": zeros(1, 1, 2, 3, 8)}, r"o1 has shape \(1, 1, 2, 3, 8\); expected"),
    "o2: another type": ({"o2": OUT.astype(HALF)}, "o2 has dtype float16; expected float32"),
    "o2: another shape": ({"o2": OUT[:, :2]}, r"o2 has shape \(2, 2, 8\); expected \(2, 3, 8\)"),
    "lse1: shape": ({"lse1": LSE.T}, r"lse1 has shape \(3, 2\); expected \(2, 3\)"),
    "lse2: with a width": ({"lse2": LSE[..., None]}, r"lse2 has shape \(2, 3, 1\); expected"),
    "lse2: type": ({"lse2": LSE.astype(HALF)}, "lse2 has dtype float16; expected float32"),
    "layout": ({"layout": "NHD"}, "layout is 'NHD'; expected"),
    "out: shape": ({"out": zeros(2, 3, 9)}, r"out has shape \(2, 3, 9\); expected \(2, 3, 8\)"),
    "out: type": ({"out": zeros(2, 3, 8, dtype=HALF)}, "out has dtype float16; expected"),
    "out: an input": ({"out": OUT}, "out overlaps o1"),
    "out: read-only": ({"out": read_only(2, 3, 8)}, "out is read-only"),
    "out: misaligned": ({"out": misaligned(2, 3, 8)}, "aligned"),
    "out_dtype": ({"out_dtype": np.float64}, "out_dtype is float64; expected"),
}  # fmt: skip


@pytest.mark.parametrize("name", MERGE)
def test_merge(name: str) -> None:
    changed, message = MERGE[name]
    given = {"o1": OUT, "lse1": LSE, "o2": OUT.copy(), "lse2": LSE.copy()} | changed
    with pytest.raises(pymfa.Error, match=message):
        pymfa.merge_attention(*[given.pop(key) for key in ("o1", "lse1", "o2", "lse2")], **given)


P = zeros(4, 2, 8)
VARLEN: dict[str, tuple[dict[str, Any], str]] = {
    "q: no array": ({"q": None}, "q is a NoneType; expected an array"),
    "q: float64": ({"q": P.astype(np.float64)}, "q has dtype float64; expected"),
    "q: four axes": ({"q": P[None]}, r"q has shape \(1, 4, 2, 8\); expected \(rows of all"),
    "q: heads": ({"q": zeros(4, 3, 8)}, "q has 3 heads and k has 2; expected a divisor"),
    "q: no width": ({"q": P[..., :0], "k": P[..., :0]}, "q and k have no elements per head"),
    "k: another type": ({"k": P.astype(HALF)}, "k has dtype float16; expected float32"),
    "k: width": ({"k": P[..., :7]}, r"k has shape \(4, 2, 7\); expected \(4, 2, 8\)"),
    "k: rows": ({"k": P[:3]}, r"k has shape \(3, 2, 8\); expected \(4, 2, 8\)"),
    "v: rows": ({"v": P[:3]}, r"k has shape \(4, 2, 8\); expected \(3, 2, 8\)"),
    "starts: beyond the rows": ({"cu_seqlens_q": integers(0, 5)}, "to 5; expected from 0 to 4"),
    "starts: short": ({"cu_seqlens_q": integers(0, 3)}, "goes from 0 to 3; expected from 0 to 4"),
    "starts: late": ({"cu_seqlens_q": integers(1, 4)}, "goes from 1 to 4; expected from 0 to 4"),
    "starts: falling": ({"cu_seqlens_q": integers(0, 3, 2, 4)}, "falls from 3 to 2 at element 2"),
    "starts: negative": ({"cu_seqlens_q": integers(0, -1, 4)}, "falls from 0 to -1 at element 1"),
    "starts: too far": ({"cu_seqlens_q": integers(0, 2**33, 4)}, "falls from 8589934592 to 4"),
    "starts: floats": ({"cu_seqlens_q": zeros(2)}, "has dtype float32; expected integers"),
    "starts: bool": ({"cu_seqlens_q": zeros(2, dtype=bool)}, "cu_seqlens_q has dtype bool"),
    "starts: two axes": ({"cu_seqlens_q": integers([0, 4])}, r"cu_seqlens_q has shape \(1, 2\)"),
    "starts: none": ({"cu_seqlens_q": zeros(0, dtype=int)}, r"cu_seqlens_q has shape \(0,\)"),
    "starts: a list": ({"cu_seqlens_q": [0, 4]}, "cu_seqlens_q is a list; expected an array"),
    "starts: of keys": ({"cu_seqlens_k": integers(0, 9)}, "cu_seqlens_k goes from 0 to 9"),
    "starts: numbers differ": ({"cu_seqlens_k": integers(0, 2, 4)}, "2 elements, cu_seqlens_k 3"),
    "causal": ({"causal": "up"}, "causal is 'up'; expected"),
    "mask": ({"mask": zeros(3, 4)}, r"not broadcast to \(1, 2, 4, 4\)"),
    "bias": ({"bias": zeros(4, 4, dtype=bool)}, "bias has dtype bool; expected"),
    "alibi": ({"alibi": zeros(3)}, r"alibi has shape \(3,\); expected \(2,\)"),
    "dropout": ({"dropout": 1.0}, "dropout is 1, expected"),
    "seed": ({"dropout": 0.5, "seed": -1}, "seed is -1; expected 64 bits"),
    "out: shape": ({"out": P[:3]}, r"out has shape \(3, 2, 8\); expected \(4, 2, 8\)"),
    "out: an input": ({"out": P}, "out overlaps q"),
    "out: read-only": ({"out": read_only(4, 2, 8)}, "out is read-only"),
    "out: misaligned": ({"out": misaligned(4, 2, 8)}, "aligned"),
    "out: no kernel writes it": ({"out": zeros(8, 4, 16)[::2, ::2, ::2]}, "no kernel reads"),
}  # fmt: skip


@pytest.mark.parametrize("name", VARLEN)
def test_varlen(name: str) -> None:
    changed, message = VARLEN[name]
    starts = integers(0, 4)
    given = {"q": P, "k": P.copy(), "v": P.copy(), "cu_seqlens_q": starts, "cu_seqlens_k": starts}
    given |= changed
    with pytest.raises(pymfa.Error, match=message):
        pymfa.attention_varlen(
            *[given.pop(key) for key in ("q", "k", "v", "cu_seqlens_q", "cu_seqlens_k")], **given
        )


def test_inputs_that_are_misaligned_are_copied_or_refused() -> None:
    """Never read where they are: a kernel may not."""
    q, starts = misaligned(4, 2, 8), integers(0, 4)
    for call in (
        lambda: pymfa.attention_varlen(q, P, P, starts, starts),
        lambda: pymfa.attention_decode(misaligned(1, 2, 1, 64), X, X),
        lambda: pymfa.attention_decode(zeros(1, 2, 1, 64), misaligned(1, 1, 9, 64), X),
        lambda: pymfa.merge_attention(misaligned(2, 3, 8), LSE, OUT, LSE),
    ):
        try:
            result = call()
        except pymfa.Error as error:
            assert "aligned" in str(error)
        else:
            assert not np.any(result[0])


def test_pages_that_no_key_needs_may_have_any_number() -> None:
    cache, q = np.ones((2, 1, 4, 64), np.float32), zeros(2, 2, 1, 64)
    table, lengths = integers([1, -1, 99], [0, 1, -7]), integers(3, 8)
    out = pymfa.attention_decode(q, cache, cache, block_table=table, lengths=lengths)
    np.testing.assert_allclose(out, 1, rtol=1e-6)
    with pytest.raises(ValueError, match="block_table has page -7; expected nothing below 0"):
        pymfa.attention_decode(q, cache, cache, block_table=table, lengths=lengths + 2)


def test_nothing_to_do_is_no_error() -> None:
    """Lengths of 0 everywhere that lengths can be given."""
    empty, starts = zeros(0, 2, 8), integers(0, 0, 0)
    assert pymfa.attention_varlen(empty, empty, empty, starts, starts).shape == (0, 2, 8)
    out, lse = pymfa.attention_varlen(
        P, empty, empty, integers(0, 4), integers(0, 0), return_lse=True
    )
    assert not out.any() and np.isneginf(lse).all()
    assert pymfa.attention_varlen(P, P, P, integers(0, 0, 4), integers(0, 0, 4)).shape == P.shape
    assert pymfa.attention_decode(zeros(1, 2, 0, 64), X, X).shape == (1, 2, 0, 64)
    assert pymfa.attention_decode(zeros(0, 2, 1, 64), X[:0], X[:0]).shape == (0, 2, 1, 64)
    assert not pymfa.attention_decode(zeros(1, 2, 1, 64), X, X, lengths=integers(0)).any()
    table = zeros(1, 0, dtype=int)
    assert not pymfa.attention_decode(zeros(1, 2, 1, 64), X, X, block_table=table).any()
    merged, lse = pymfa.merge_attention(OUT[:0], LSE[:0], OUT[:0], LSE[:0])
    assert merged.shape == (0, 3, 8) and lse.shape == (0, 3)
