# SPDX-License-Identifier: MIT
"""qgemm against float64, over widths, groups, packings, types, shapes, batches and epilogues."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from arrangements import WAYS, made, sizes
from hypothesis import given
from hypothesis import strategies as st
from tolerance import SLOPE, Gemm, assert_within, bfloat16

import pymfa

FLOATS = [np.float16, np.float32, bfloat16]
# Batch axes of a and b, and of the output.
BATCHES: list[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]] = [
    ((), (), ()),
    ((), (), ()),
    ((3,), (3,), (3,)),
    ((4,), (), (4,)),
    ((), (2, 2), (2, 2)),
    ((2, 1), (3,), (2, 3)),
]


def exact(w: pymfa.Quantized | pymfa.Palettized) -> Any:
    """What the numbers stand for, in float64: read bit by bit, in no way as the package does."""
    affine = isinstance(w, pymfa.Quantized)
    order = "big" if not affine and w.msb_first else "little"
    data = w.packed.astype("<u4").view(np.uint8) if affine else w.packed
    stream = np.unpackbits(data, axis=-1, bitorder=order)
    size = w.shape[-1] if affine else int(np.prod(w.shape))
    digits = stream[..., : size * w.bits].reshape(*stream.shape[:-1], size, w.bits)
    place = 1 << np.arange(w.bits)[:: -1 if order == "big" else 1]
    numbers = (digits * place).sum(axis=-1)
    if affine:
        scales, biases = (
            np.repeat(x.astype(np.float64), w.group_size, axis=-1)[..., :size]
            for x in (w.scales, w.biases)
        )
        return numbers * scales + biases
    numbers = numbers.reshape(w.shape)
    out = np.empty(w.shape)
    step = w.group_size or w.shape[w.axis]
    for i, palette in enumerate(w.palettes.astype(np.float64)):
        part = (slice(None),) * w.axis + (slice(i * step, (i + 1) * step),)
        out[part] = palette[numbers[part]]
    return out


@st.composite
def formats(draw: st.DrawFn) -> dict[str, Any]:
    if draw(st.booleans()):
        return {
            "kind": "affine",
            "bits": draw(st.sampled_from([2, 3, 4, 5, 6, 8])),
            "group_size": draw(st.sampled_from([32, 64, 128])),
        }
    return {
        "kind": "palette",
        "bits": draw(st.integers(1, 8)),
        "group_size": draw(st.sampled_from([None, 1, 2, 5, 16, 32, 64])),
        "axis": draw(st.sampled_from([-2, -1])),
        "msb_first": draw(st.booleans()),
    }


@st.composite
def problems(draw: st.DrawFn, largest: int, rows: int) -> dict[str, Any]:
    few = draw(st.booleans())
    return {
        "size": (draw(sizes(rows if few else largest)), draw(sizes(largest)), draw(sizes(largest))),
        "trans": (draw(st.booleans()), draw(st.booleans())),
        "way": draw(st.sampled_from(WAYS)),
        "types": tuple(draw(st.sampled_from(FLOATS)) for _ in range(3)),
        "format": draw(formats()),
        "batch": draw(st.sampled_from(BATCHES)),
        "alpha": draw(st.sampled_from([1.0, 1.0, 0.5, -2.25])),
        "beta": draw(st.sampled_from([None, None, 1.0, -0.5, 0.0])),
        "bias": draw(st.sampled_from([None, "row", "column", "batch"])),
        "activation": draw(st.sampled_from(sorted(SLOPE))),
        "out": draw(st.sampled_from(["new", "packed", "padded"])),
    }


def weights(seed: int, shape: tuple[int, ...], dtype: Any, form: dict[str, Any]) -> Any:
    options = {key: value for key, value in form.items() if key != "kind"}
    w = made(seed, shape, dtype)
    if form["kind"] == "affine":
        return pymfa.quantize(w, **options)
    # Random numbers and palettes: they need not be what k-means would have found.
    rng = np.random.default_rng(seed)
    axis, size = form["axis"] % len(shape), form["group_size"]
    groups = 1 if size is None else -(-shape[axis] // size)
    length = -(-int(np.prod(shape)) * form["bits"] // 8)
    return pymfa.Palettized(
        rng.integers(0, 256, length, np.uint8),
        made(seed + 1, (groups, 1 << form["bits"]), dtype),
        shape,
        **options,
    )


def check(device: pymfa.Device, problem: dict[str, Any]) -> None:
    m, n, k = problem["size"]
    batch_a, batch_b, batch = problem["batch"]
    trans_a, trans_b = problem["trans"]
    input_type, weight_type, output_type = problem["types"]
    a = made(1, (*batch_a, m, k), input_type)
    b = weights(2, (*batch_b, *((n, k) if trans_b else (k, n))), weight_type, problem["format"])
    shape = (*batch, m, n)
    c = None if problem["beta"] is None else made(3, shape, output_type)
    biases = {"row": (n,), "column": (m, 1), "batch": (*batch, 1, n)}
    bias = made(4, biases[problem["bias"]], output_type) if problem["bias"] else None
    options = {key: problem[key] for key in ("alpha", "activation")}
    dense = exact(b)
    reference = Gemm(
        a, np.swapaxes(dense, -1, -2) if trans_b else dense, c=c, beta=problem["beta"] or 0.0,
        bias=bias, output=np.dtype(output_type), **options,
    )  # fmt: skip

    way = problem["way"]
    if trans_a:
        a = made(1, a.shape, input_type)
        stored = made(9, (*batch_a, k, m), input_type, way)
        stored[...] = np.swapaxes(a, -1, -2)
        a = stored
    else:
        stored = made(9, a.shape, input_type, way)
        stored[...] = a
        a = stored
    out = None if problem["out"] == "new" else made(5, shape, output_type, problem["out"])
    actual = pymfa.qgemm(
        a, b, trans_a=trans_a, trans_b=trans_b, c=c, beta=problem["beta"], bias=bias, out=out,
        dtype=output_type, device=device, **options,
    )  # fmt: skip
    assert out is None or actual is out
    assert actual.dtype == output_type
    assert_within(actual, reference.expected, reference.tolerance)


@given(problem=problems(130, 16))
def test_sweep(fast: pymfa.Device, problem: dict[str, Any]) -> None:
    check(fast, problem)


@given(problem=problems(33, 8))
def test_sweep_small(device: pymfa.Device, problem: dict[str, Any]) -> None:
    check(device, problem)


ROWS = (1, 4, 40)  # without tiles, the same with several rows, with tiles


def multiply(device: pymfa.Device, b: Any, trans_b: bool, seed: int = 7) -> None:
    dense = exact(b)
    dense = dense.T if trans_b else dense
    for rows in ROWS:
        a = made(seed, (rows, dense.shape[0]), np.float16)
        reference = Gemm(a, dense)
        actual = pymfa.qgemm(a, b, trans_b=trans_b, device=device)
        assert_within(actual, reference.expected, reference.tolerance, f"{rows} rows")


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 8])
@pytest.mark.parametrize("group_size", [32, 64, 128])
@pytest.mark.parametrize("trans_b", [True, False])
def test_every_affine_format(fast: pymfa.Device, bits: int, group_size: int, trans_b: bool) -> None:
    w = made(bits, (70, 333) if trans_b else (333, 70), np.float16)
    multiply(fast, pymfa.quantize(w, bits=bits, group_size=group_size), trans_b)


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("msb_first", [False, True])
@pytest.mark.parametrize("trans_b", [True, False])
def test_every_palette_format(
    fast: pymfa.Device, bits: int, msb_first: bool, trans_b: bool
) -> None:
    """Rows of 328 numbers begin with a byte, rows of 333 need not."""
    for columns, group, axis in ((328, None, 0), (333, 2, 0), (328, 64, 1)):
        form = {"kind": "palette", "bits": bits, "group_size": group, "axis": axis,
                "msb_first": msb_first}  # fmt: skip
        multiply(fast, weights(bits, (70, columns), np.float16, form), trans_b)


@pytest.mark.parametrize("trans_b", [True, False])
def test_weights_that_are_not_finite(device: pymfa.Device, trans_b: bool) -> None:
    """A palette may hold infinities and NaN; they reach what they belong to and nothing else."""
    palettes = np.array([[1.0, np.inf], [np.nan, 2.0]], np.float16)
    numbers = np.zeros((2, 40), np.uint8)
    numbers[0, 5] = 1
    numbers[1] = 1
    packed = np.packbits(numbers.reshape(-1), bitorder="little")
    b = pymfa.Palettized(packed, palettes, (2, 40), bits=1, group_size=1)
    for rows in ROWS:
        if trans_b:
            out = pymfa.qgemm(np.ones((rows, 40), np.float16), b, device=device)
            np.testing.assert_array_equal(out, np.tile([np.inf, 80], (rows, 1)))
        else:
            out = pymfa.qgemm(np.ones((rows, 2), np.float16), b, trans_b=False, device=device)
            expected = np.full((rows, 40), 3.0)
            expected[:, 5] = np.inf
            np.testing.assert_array_equal(out, expected)


def test_empty(device: pymfa.Device) -> None:
    q = pymfa.quantize(np.ones((5, 64), np.float32))
    assert pymfa.qgemm(np.ones((0, 64), np.float32), q, device=device).shape == (0, 5)
    none = pymfa.quantize(np.ones((0, 64), np.float32))
    assert pymfa.qgemm(np.ones((3, 64), np.float32), none, device=device).shape == (3, 0)
    short = pymfa.quantize(np.ones((5, 0), np.float32))
    out = pymfa.qgemm(np.ones((3, 0), np.float32), short, bias=np.arange(5, dtype=np.float32),
                      device=device)  # fmt: skip
    np.testing.assert_array_equal(out, np.tile(np.arange(5), (3, 1)))


def test_vectors_and_commands(device: pymfa.Device) -> None:
    q = pymfa.quantize(made(1, (9, 64), np.float16))
    x, out = made(2, (64,), np.float16), np.empty(9, np.float16)
    expected = pymfa.qgemm(x, q, device=device)
    assert expected.shape == (9,)
    with device.commands() as commands:
        assert commands.qgemm(x, q, out=out) is out
    np.testing.assert_array_equal(out, expected)


def test_questions(device: pymfa.Device) -> None:
    few, many = (pymfa.QgemmDesc(rows, 256, 512, bits=4) for rows in (1, 300))
    assert device.supported(few) == device.supported(many) == (True, "")
    for problem in (few, many):
        told = device.explain(problem)
        assert told.kernel == "qgemm"
        assert "bits=4" in told.variant.split()
    assert device.explain(few).threadgroup_memory == 0
    device.prepare([few])
    assert device.explain(few).cached


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x, q: pymfa.qgemm(x, x), TypeError, "b is a ndarray; expected what quantize"),
        (lambda x, q: pymfa.qgemm(x[:, :63], q), ValueError, "a is 3 x 63 and b is 64 x 5"),
        (lambda x, q: pymfa.qgemm(x, q, trans_b=False), ValueError, "b is 5 x 64; expected"),
        (lambda x, q: pymfa.qgemm(x.astype(int), q), TypeError, "a has dtype int64"),
        (lambda x, q: pymfa.qgemm(x, q, dtype=int), TypeError, "dtype is int64"),
        (lambda x, q: pymfa.qgemm(x, q, out=x), ValueError, "out has shape (3, 64)"),
        (lambda x, q: pymfa.qgemm(x, q, bias=x[0]), ValueError, "bias has shape (1, 64)"),
        (lambda x, q: pymfa.qgemm(x, q, beta=1.0), ValueError, "without c or out"),
        (lambda x, q: pymfa.qgemm(x, q, activation="tan"), ValueError, "activation is 'tan'"),
        (lambda x, q: pymfa.quantize(x, bits=7), ValueError, "bits is 7; expected one of 2, 3"),
        (lambda x, q: pymfa.quantize(x, group_size=16), ValueError, "group_size is 16"),
        (lambda x, q: pymfa.quantize(x[0]), ValueError, "at least two axes"),
        (lambda x, q: pymfa.quantize(x / 0), ValueError, "not finite"),
        (lambda x, q: pymfa.palettize(x, bits=0), ValueError, "bits is 0"),
        (lambda x, q: pymfa.palettize(x, axis=2), ValueError, "axis is 2"),
        (lambda x, q: pymfa.palettize(x, group_size=0), ValueError, "group_size is 0"),
        (lambda x, q: pymfa.dequantize(x), TypeError, "w is a ndarray"),
        (
            lambda x, q: pymfa.Quantized(q.packed[:, :7], q.scales, q.biases),
            ValueError,
            "7 words a row cannot hold 56 numbers of 4 bits; expected 8",
        ),
        (
            lambda x, q: pymfa.Quantized(q.packed.view(np.int32), q.scales, q.biases),
            TypeError,
            "packed has dtype int32; expected uint32",
        ),
        (
            lambda x, q: pymfa.Palettized(np.zeros(3, np.uint8), x[:1, :63], (2, 2)),
            ValueError,
            "palettes has shape (1, 63)",
        ),
    ],
)
def test_bad_input(call: Any, error: Any, message: str) -> None:
    x = np.ones((3, 64), np.float32)
    q = pymfa.quantize(np.ones((5, 64), np.float32))
    with np.errstate(divide="ignore"), pytest.raises(error) as raised:
        call(x, q)
    assert message in str(raised.value)
