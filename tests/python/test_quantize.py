# SPDX-License-Identifier: MIT
"""quantize, palettize and dequantize: bits, bounds, round trips, and what MLX makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from arrangements import made
from hypothesis import given
from hypothesis import strategies as st
from test_qgemm import exact
from tolerance import Gemm, assert_within, bfloat16

import pymfa
from pymfa.packing import pack, unpack

FLOATS = [np.float16, np.float32, bfloat16]
AFFINE = [(bits, group) for bits in (2, 3, 4, 5, 6, 8) for group in (32, 64, 128)]


@given(st.integers(1, 8), st.integers(0, 70), st.booleans(), st.integers(0, 3))
def test_packing_is_a_stream_of_bits(bits: int, count: int, msb: bool, seed: int) -> None:
    numbers = np.random.default_rng(seed).integers(0, 1 << bits, (2, count), np.uint8)
    order = "big" if msb else "little"
    digits = np.unpackbits(numbers[..., None], axis=-1, bitorder=order)
    kept = digits[..., 8 - bits :] if msb else digits[..., :bits]
    stream = np.packbits(kept.reshape(2, -1), axis=-1, bitorder=order)
    packed = pack(numbers, bits, msb_first=msb)
    np.testing.assert_array_equal(packed, stream)
    np.testing.assert_array_equal(unpack(packed, bits, count, msb_first=msb), numbers)


@pytest.mark.parametrize(("bits", "group"), AFFINE)
@pytest.mark.parametrize("dtype", FLOATS)
def test_a_weight_is_off_by_half_a_step(bits: int, group: int, dtype: Any) -> None:
    w = made(bits, (2, 7, 200), dtype)
    q = pymfa.quantize(w, bits=bits, group_size=group)
    assert (q.shape, q.dtype, q.bits, q.group_size) == (w.shape, w.dtype, bits, group)
    wide = w.astype(np.float64)
    scale = np.abs(np.repeat(q.scales.astype(np.float64), group, axis=-1)[..., :200])
    # So that 0 and an end are met the steps may end half a step inside the range: the last number
    # stands for up to a step less or more than there is. Scale and bias are rounded when stored.
    error = np.abs(exact(q) - wide)
    unit = {"float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}[w.dtype.name]
    rounding = unit * (np.abs(wide) + scale * (1 << bits))
    assert (error <= scale + rounding).all()
    inner = (q.numbers() > 0) & (q.numbers() < (1 << bits) - 1)
    assert (error <= scale / 2 + rounding)[inner].all()


@pytest.mark.parametrize(("bits", "group"), AFFINE)
@pytest.mark.parametrize("dtype", FLOATS)
def test_dequantize_is_what_the_numbers_stand_for(bits: int, group: int, dtype: Any) -> None:
    q = pymfa.quantize(made(1, (5, 3 * group), dtype), bits=bits, group_size=group)
    with np.errstate(over="ignore"):
        expected = exact(q).astype(np.float32)
    np.testing.assert_array_equal(pymfa.dequantize(q, np.float32), expected)
    np.testing.assert_array_equal(pymfa.dequantize(q), expected.astype(dtype))
    assert pymfa.dequantize(q).dtype == dtype


@given(
    st.integers(1, 8), st.sampled_from([None, 1, 3, 32]), st.integers(0, 2), st.booleans(),
    st.sampled_from(FLOATS), st.sampled_from([(3, 5, 7), (4, 1, 33), (1, 1, 1)]),
)  # fmt: skip
def test_palettes(
    bits: int, group: int | None, axis: int, msb: bool, dtype: Any, shape: tuple[int, ...]
) -> None:
    w = made(bits, shape, dtype)
    p = pymfa.palettize(w, bits=bits, group_size=group, axis=axis, msb_first=msb)
    decoded = pymfa.dequantize(p)
    assert (p.shape, p.dtype, decoded.dtype) == (shape, dtype, dtype)
    np.testing.assert_array_equal(decoded.astype(np.float64), exact(p))
    # Every weight has the entry nearest to it.
    step = group or shape[axis]
    for i, palette in enumerate(p.palettes.astype(np.float64)):
        part = (slice(None),) * axis + (slice(i * step, (i + 1) * step),)
        part_w = w[part].astype(np.float64)
        nearest = np.abs(part_w[..., None] - palette).min(axis=-1)
        np.testing.assert_array_equal(np.abs(exact(p)[part] - part_w), nearest)
        if part_w.size <= 1 << bits:
            assert not nearest.any()


def test_k_means_beats_equal_steps() -> None:
    w = made(1, (64, 1000), np.float32)
    for bits in (2, 4, 6, 8):
        p = pymfa.palettize(w, bits=bits)
        found = np.square(pymfa.dequantize(p) - w).mean()
        low, high = float(w.min()), float(w.max())
        step = (high - low) / ((1 << bits) - 1)
        equal = np.square(np.rint((w - low) / step) * step + low - w).mean()
        assert found < 0.7 * equal
        # Panter and Dite: the error of the best palette of a normal distribution is near
        # pi * sqrt(3) / 2 * entries ** -2.
        assert found < 1.1 * np.pi * 3**0.5 / 2 / 4**bits


@pytest.mark.parametrize(("bits", "group"), AFFINE)
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", ["normal", "positive", "constant", "zero", "tiny", "large"])
def test_packs_byte_for_byte_as_mlx(bits: int, group: int, dtype: Any, case: str) -> None:
    mx = pytest.importorskip("mlx.core")
    w = made(3, (6, 2 * group), np.float32)
    w = {
        "normal": w, "positive": np.abs(w), "constant": np.full_like(w, -1.25),
        "zero": np.zeros_like(w), "tiny": w * 1e-6, "large": w * 1e4,
    }[case].astype(dtype)  # fmt: skip
    packed, scales, biases = mx.quantize(to_mlx(mx, w), group_size=group, bits=bits)
    q = pymfa.quantize(w, bits=bits, group_size=group)
    np.testing.assert_array_equal(q.packed, np.array(packed))
    for ours, theirs in ((q.scales, scales), (q.biases, biases)):
        np.testing.assert_array_equal(ours.astype(np.float32), np.array(theirs.astype(mx.float32)))


@pytest.mark.parametrize(("bits", "group"), AFFINE)
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("transpose", [True, False])
@pytest.mark.parametrize("rows", [1, 33])
def test_multiplies_as_mlx(
    fast: pymfa.Device, bits: int, group: int, dtype: Any, transpose: bool, rows: int
) -> None:
    """Both are within bounds of the float64 result, so within the sum of these of each other."""
    mx = pytest.importorskip("mlx.core")
    w, x = made(1, (2 * group, 256), dtype), made(2, (rows, 256 if transpose else 2 * group), dtype)
    theirs = mx.quantize(to_mlx(mx, w), group_size=group, bits=bits)
    q = pymfa.Quantized(
        *(from_mlx(mx, part, dtype) for part in theirs), bits=bits, group_size=group
    )
    result = mx.quantized_matmul(
        to_mlx(mx, x), *theirs, transpose=transpose, group_size=group, bits=bits
    )
    dense = exact(q)
    reference = Gemm(x, dense.T if transpose else dense)
    ours = pymfa.qgemm(x, q, trans_b=transpose, device=fast)
    assert_within(ours, reference.expected, reference.tolerance)
    theirs = np.array(result.astype(mx.float32)).astype(np.float64)
    assert_within(theirs, reference.expected, mlx_tolerance(reference, x, dense, transpose), "mlx")
    both = reference.tolerance + mlx_tolerance(reference, x, dense, transpose)
    assert_within(ours, theirs, both)


def mlx_tolerance(reference: Gemm, x: Any, dense: Any, transpose: bool) -> Any:
    """MLX on a CPU adds 16-bit products in 16 bits: each of K sums and each weight is rounded."""
    if x.dtype == np.float32:
        return reference.tolerance
    unit = 2.0**-11 if x.dtype == np.float16 else 2.0**-8
    terms = np.abs(x.astype(np.float64)) @ np.abs(dense.T if transpose else dense)
    return reference.tolerance + 2 * unit * (np.sqrt(x.shape[-1]) + 3) * terms


def to_mlx(mx: Any, array: Any) -> Any:
    return mx.array(array.astype(np.float32)).astype(getattr(mx, np.dtype(array.dtype).name))


def from_mlx(mx: Any, array: Any, dtype: Any) -> Any:
    if array.dtype == mx.uint32:
        return np.array(array)
    return np.array(array.astype(mx.float32)).astype(dtype)
