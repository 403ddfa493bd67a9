# SPDX-License-Identifier: MIT
"""qgemm against float64, over widths, groups, packings, types, shapes, batches and epilogues."""

from __future__ import annotations

from typing import Any

import numpy as np
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
