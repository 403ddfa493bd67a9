# SPDX-License-Identifier: MIT
"""Apple-compiled convolutions: implicit GEMM, unfolding, depthwise, and the steps of Winograd's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from apple_kernels import FLOATS, type_name
from convolution_case import Case, implicit_gemm, params, windows
from tolerance import assert_within, naive_product, output_rounding, random

dtypes = pytest.mark.parametrize("dtype", FLOATS, ids=type_name)


@dtypes
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 32])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2)])
@pytest.mark.parametrize("outputs", [13, 32])
def test_implicit_gemm(
    run: Any, dtype: np.dtype[Any], channels: int, stride: int, dilation: int, outputs: int
) -> None:
    """Like MLX: tiles of 8 columns for up to 16 outputs. Wider ones read whole tiles of filters,
    also where fewer are left (docs/validation.md)."""
    case = Case(dtype, (2, 11, 9, channels), outputs, (3, 3), stride, 1, dilation)
    kernel, launch = implicit_gemm(case, 8 if outputs <= 16 else 32, dilation)
    run(kernel, **launch)
    case.check(kernel)


@dtypes
@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize("transposed", [False, True], ids=["", "transpose"])
def test_unfold(run: Any, dtype: np.dtype[Any], dimensions: int, transposed: bool) -> None:
    """The windows as rows of a matrix; channels last, or first for grouped convolutions."""
    size = (3, 2, 2)[:dimensions]
    case = Case(dtype, (2, *(7, 6, 5)[:dimensions], 8), 1, size, 2, 1)
    rows = case.y.size
    unfolded = np.zeros((rows, int(np.prod(size)) * 8), dtype)
    kind = "_transpose" if transposed else ""
    run(f"naive_unfold{kind}_nd_{dtype.name}_{dimensions}",
        {0: case.x, 1: unfolded, 2: case.params, 3: np.int32(0)},
        threads=(8, int(np.prod(size)), rows), group=(8, 4, 2))  # fmt: skip
    expected = case.unfolded.reshape(rows, -1, 8)
    expected = expected.swapaxes(1, 2) if transposed else expected
    np.testing.assert_array_equal(unfolded, expected.reshape(rows, -1))


@dtypes
@pytest.mark.parametrize("stride", [1, 2])
def test_depthwise(run: Any, dtype: np.dtype[Any], stride: int) -> None:
    rng = np.random.default_rng(stride)
    x, w = random(rng, (2, 11, 13, 16), dtype), random(rng, (16, 3, 5, 1), dtype)
    unfolded = windows(x, (3, 5), stride, 1).astype(np.float64)
    expected = np.einsum("nhwijc,cij->nhwc", unfolded, w[..., 0].astype(np.float64))
    terms = np.einsum("nhwijc,cij->nhwc", np.abs(unfolded), np.abs(w[..., 0].astype(np.float64)))
    y = np.zeros(expected.shape, dtype)
    constants = {0: 3, 1: 5, 10: stride, 11: stride, 100: 4, 101: 8, 200: False}
    groups = (2, -(-y.shape[2] // 8), -(-y.shape[1] // 4) * 2)
    run(f"depthwise_conv_2d_{dtype.name}", {0: x, 1: w, 2: y, 3: params(x, w, y, stride, 1)},
        constants=constants, groups=groups, group=(8, 8, 4))  # fmt: skip
    # Naive rounds each of 15 products, and the sums, to the type of the data.
    roundoff = {"float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}[dtype.name]
    tolerance = 2 * np.sqrt(15) * roundoff * terms + output_rounding(expected, dtype)
    assert_within(y, expected, tolerance)


@dtypes
def test_depthwise_in_one_dimension(run: Any, dtype: np.dtype[Any]) -> None:
    rng = np.random.default_rng(1)
    x, w = random(rng, (2, 30, 24), dtype), random(rng, (24, 4, 1), dtype)
    unfolded = windows(x, (4,), 1, 0).astype(np.float64)
    expected = np.einsum("ntic,ci->ntc", unfolded, w[..., 0].astype(np.float64))
    terms = np.einsum("ntic,ci->ntc", np.abs(unfolded), np.abs(w[..., 0].astype(np.float64)))
    y = np.zeros(expected.shape, dtype)
    strides = np.array([s // x.itemsize for s in x.strides], np.int32)
    run(f"depthwise_conv_1d_{dtype.name}", {0: x, 1: w, 2: y, 3: strides, 4: np.int32(4)},
        threads=(24, 27, 2), group=(8, 8, 2))  # fmt: skip
    tolerance = 2 * np.sqrt(4) * 2.0**-24 * 2 * terms + output_rounding(expected, dtype)
    assert_within(y, expected, tolerance)


# Winograd F(6 x 6, 3 x 3) over the points 0, +-1, +-2, +-1/2 (Lavin and Gray, 2016).
_G = np.array([[1, 0, 0], [-2 / 9, -2 / 9, -2 / 9], [-2 / 9, 2 / 9, -2 / 9],
               [1 / 90, 1 / 45, 2 / 45], [1 / 90, -1 / 45, 2 / 45],
               [32 / 45, 16 / 45, 8 / 45], [32 / 45, -16 / 45, 8 / 45], [0, 0, 1]])  # fmt: skip
_B = np.array([[1, 0, -21 / 4, 0, 21 / 4, 0, -1, 0], [0, 1, 1, -17 / 4, -17 / 4, 1, 1, 0],
               [0, -1, 1, 17 / 4, -17 / 4, -1, 1, 0],
               [0, 1 / 2, 1 / 4, -5 / 2, -5 / 4, 2, 1, 0],
               [0, -1 / 2, 1 / 4, 5 / 2, -5 / 4, -2, 1, 0], [0, 2, 4, -5 / 2, -5, 1 / 2, 1, 0],
               [0, -2, 4, 5 / 2, -5, -1 / 2, 1, 0],
               [0, -1, 0, 21 / 4, 0, -21 / 4, 0, 1]])  # fmt: skip
_A = np.array([[1, 1, 1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 1 / 2, -1 / 2, 0],
               [0, 1, 1, 4, 4, 1 / 4, 1 / 4, 0], [0, 1, -1, 8, -8, 1 / 8, -1 / 8, 0],
               [0, 1, 1, 16, 16, 1 / 16, 1 / 16, 0],
               [0, 1, -1, 32, -32, 1 / 32, -1 / 32, 1]])  # fmt: skip


def test_winograd_matrices() -> None:
    """The algorithm below is one: it convolves in one dimension."""
    d, g = np.arange(8.0), np.array([1.0, -2, 3])
    np.testing.assert_allclose(_A @ ((_G @ g) * (_B @ d)), np.convolve(d, g[::-1], "valid"))


@dtypes
def test_winograd(run: Any, dtype: np.dtype[Any]) -> None:
    """Three kernels; the product between them is made here. Each stores in the data's type."""
    case = Case(dtype, (2, 13, 11, 32), 32, (3, 3), 1, 1)
    tiles = (2, -(-11 // 6), -(-13 // 6))  # batch, columns, rows of 6 x 6 outputs
    count = int(np.prod(tiles))
    padded = np.zeros((2, 6 * tiles[2] + 2, 6 * tiles[1] + 2, 32), dtype)
    padded[:, 1:14, 1:12] = case.x
    weights, inputs = np.zeros((64, 32, 32), dtype), np.zeros((64, count, 32), dtype)
    run(f"winograd_conv_2d_weight_transform_{dtype.name}_bc32",
        {0: case.w, 1: weights, 2: np.int32(32), 3: np.int32(32)}, groups=(8, 1, 1),
        group=(32, 4))  # fmt: skip
    updated = params(padded, case.w, case.y, 1, 0)
    launch = {"groups": (tiles[1], tiles[2], 2), "group": (32, 2, 2)}
    run(f"winograd_conv_2d_input_transform_{dtype.name}_bc32", {0: padded, 1: inputs, 2: updated},
        **launch)  # fmt: skip
    product = naive_product(inputs, weights).astype(dtype)
    run(f"winograd_conv_2d_output_transform_{dtype.name}_bo32", {0: product, 1: case.y, 2: updated},
        **launch)  # fmt: skip
    naive = winograd(padded, case.w, dtype)[:, :13, :11]
    expected = case.reference.expected.reshape(case.y.shape)
    off = np.abs(naive.astype(np.float64) - expected).max()
    assert_within(case.y, expected, 2 * off + output_rounding(expected, dtype))


def winograd(x: Any, w: Any, dtype: Any) -> Any:
    """The same algorithm, its intermediate arrays stored in the data's type."""
    tiles = np.lib.stride_tricks.sliding_window_view(x, (8, 8), axis=(1, 2))[:, ::6, ::6]
    single = [m.astype(np.float32) for m in (_G, _B, _A)]
    u = np.einsum("ai,oijc,bj->abco", single[0], w.astype(np.float32), single[0]).astype(dtype)
    v = np.einsum("ai,nhwcij,bj->abnhwc", single[1], tiles.astype(np.float32), single[1])
    v = v.astype(dtype)
    m = naive_product(v.reshape(64, -1, v.shape[-1]), u.reshape(64, *u.shape[2:])).astype(dtype)
    m = m.reshape(*v.shape[:-1], u.shape[-1]).astype(np.float32)
    y = np.einsum("ia,abnhwo,jb->nhiwjo", single[2], m, single[2]).astype(dtype)
    return y.reshape(y.shape[0], y.shape[1] * 6, y.shape[3] * 6, -1)
