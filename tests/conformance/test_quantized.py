# SPDX-License-Identifier: MIT
"""Apple-compiled affine quantization: quantize, dequantize, and products with packed weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from apple_kernels import FLOATS, type_name
from tolerance import assert_within, naive_product, output_rounding, random

BITS = [2, 3, 4, 5, 6, 8]
NAMES = {"float32": "float", "float16": "float16_t", "bfloat16": "bfloat16_t"}
_ROUND = {"float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}
dtypes = pytest.mark.parametrize("dtype", FLOATS, ids=type_name)
all_bits = pytest.mark.parametrize("bits", BITS)


def pack(q: Any, bits: int) -> Any:
    """Rows of small numbers as a stream of bits, lowest first, in 32-bit words."""
    stream = (q[..., None] >> np.arange(bits)) & 1
    stream = stream.reshape(*q.shape[:-1], -1).astype(np.uint8)
    return np.ascontiguousarray(np.packbits(stream, axis=-1, bitorder="little")).view(np.uint32)


class Weights:
    """w[row, column] = scale * q + bias, a scale and a bias for each group along a row."""

    def __init__(self, rng: Any, shape: tuple[int, ...], bits: int, group: int, dtype: Any) -> None:
        q = rng.integers(0, 2**bits, shape)
        self.packed = pack(q, bits)
        groups = (*shape[:-1], shape[-1] // group)
        self.scales = (random(rng, groups, np.float32) / 2**bits).astype(dtype)
        self.biases = random(rng, groups, dtype)
        scales, biases = (
            np.repeat(x.astype(np.float64), group, axis=-1) for x in (self.scales, self.biases)
        )
        self.values = scales * q + biases
        self.sizes = np.abs(scales) * q + np.abs(biases)  # what cancels in float32


def check(y: Any, x: Any, values: Any, sizes: Any, what: str) -> None:
    """x @ values: naive is what stores the weights in the type of x and multiplies in float32."""
    expected = x.astype(np.float64) @ values
    naive = naive_product(x, values.astype(x.dtype)).astype(x.dtype).astype(np.float64)
    measured = np.abs(naive - expected).max()
    terms = np.abs(x.astype(np.float64)) @ sizes
    model = (np.sqrt(x.shape[-1]) * _ROUND["float32"] + _ROUND[x.dtype.name]) * terms
    tolerance = 2 * np.maximum(measured, model) + output_rounding(expected, x.dtype)
    assert_within(y, expected, tolerance, what)


@dtypes
@all_bits
def test_matrix_vector(run: Any, dtype: np.dtype[Any], bits: int) -> None:
    """qmv for any shape, qmv_fast for whole blocks."""
    rng = np.random.default_rng(bits)
    for n, k, fast in ((19, 192, False), (16, 1024, True)):
        w = Weights(rng, (n, k), bits, 64, dtype)
        x = random(rng, (3, k), dtype)
        y = np.zeros((3, n), dtype)
        kernel = f"affine_qmv{'_fast' if fast else ''}_{NAMES[dtype.name]}_gs_64_b_{bits}"
        buffers = dict(enumerate((w.packed, w.scales, w.biases, x, y, np.int32(k), np.int32(n))))
        run(f"{kernel}_batch_0_pr_0_hgs_0_r_4", buffers, groups=(3, -(-n // 8), 1), group=(32, 2))
        check(y, x, w.values.T, w.sizes.T, kernel)


@dtypes
@all_bits
def test_vector_matrix(run: Any, dtype: np.dtype[Any], bits: int) -> None:
    rng = np.random.default_rng(bits)
    k, n = 96, 128
    w = Weights(rng, (k, n), bits, 64, dtype)
    x = random(rng, (2, k), dtype)
    y = np.zeros((2, n), dtype)
    kernel = f"affine_qvm_{NAMES[dtype.name]}_gs_64_b_{bits}_batch_0"
    buffers = dict(enumerate((w.packed, w.scales, w.biases, x, y, np.int32(k), np.int32(n))))
    run(kernel, buffers, groups=(2, -(-n // 64), 1), group=(32, 2))
    check(y, x, w.values, w.sizes, kernel)


@dtypes
@all_bits
@pytest.mark.parametrize("kind", ["quad", "wide"])
def test_few_vectors(run: Any, dtype: np.dtype[Any], bits: int, kind: str) -> None:
    """qmv_quad for short rows, qmv_wide for four vectors at once."""
    if kind == "quad" and bits not in (2, 4, 8):
        pytest.skip("MLX's host code takes qmv_quad for powers of two only")
    rng = np.random.default_rng(bits)
    n, k = (40, 128) if kind == "quad" else (19, 192)
    w = Weights(rng, (n, k), bits, 64, dtype)
    x = random(rng, (4, k), dtype)
    y = np.zeros((4, n), dtype)
    kernel = f"affine_qmv_{kind}_{NAMES[dtype.name]}_gs_64_b_{bits}"
    buffers = dict(enumerate((w.packed, w.scales, w.biases, x, y, np.int32(k), np.int32(n))))
    if kind == "quad":
        run(f"{kernel}_d_128_batch_0", buffers, groups=(4, -(-n // 64), 1), group=(32,))
    else:
        buffers[7] = np.int32(4)
        run(f"{kernel}_nv_4_kl_8_batch_0", buffers, groups=(1, -(-n // 8), 1), group=(32, 2))
    check(y, x, w.values.T, w.sizes.T, kernel)


@dtypes
@all_bits
@pytest.mark.parametrize("transposed", [True, False], ids=["t", "n"])
def test_matrix_matrix(run: Any, dtype: np.dtype[Any], bits: int, transposed: bool) -> None:
    rng = np.random.default_rng(bits)
    m, n, k = (37, 45, 128) if transposed else (37, 64, 96)
    w = Weights(rng, (n, k) if transposed else (k, n), bits, 64, dtype)
    x = random(rng, (m, k), dtype)
    y = np.zeros((m, n), dtype)
    kernel = f"affine_qmm_{'t' if transposed else 'n'}_{NAMES[dtype.name]}_gs_64_b_{bits}"
    kernel += "_alN_false_batch_0" if transposed else "_batch_0"
    sizes = [np.int32(s) for s in (k, n, m)]
    buffers = dict(enumerate((w.packed, w.scales, w.biases, x, y, *sizes)))
    run(kernel, buffers, groups=(-(-n // 32), -(-m // 32), 1), group=(32, 2, 2))
    values, terms = (w.values.T, w.sizes.T) if transposed else (w.values, w.sizes)
    check(y, x, values, terms, kernel)


@dtypes
@pytest.mark.parametrize("bits", [3, 4])
def test_gathered(run: Any, dtype: np.dtype[Any], bits: int) -> None:
    """Vectors and matrices named by indices."""
    rng = np.random.default_rng(bits)
    n, k = 19, 192
    w = Weights(rng, (4, n, k), bits, 64, dtype)
    x = random(rng, (3, 1, k), dtype)
    left, right = np.array([2, 0, 1, 2, 0], np.uint32), np.array([3, 3, 0, 1, 2], np.uint32)
    y = np.zeros((5, n), dtype)
    strides = [np.array([s // a.itemsize for s in a.strides], np.int64)
               for a in (x, w.packed, w.scales, w.biases)]  # fmt: skip
    one = np.array([1], np.int64)
    values = [
        w.packed, w.scales, w.biases, x, left, right, y, np.int32(k), np.int32(n), np.int32(1),
        np.array(x.shape, np.int32), strides[0], np.int32(1), np.array(w.packed.shape, np.int32),
        *strides[1:], np.int32(1), np.array([5], np.int32), one, one,
    ]  # fmt: skip
    kernel = f"affine_gather_qmv_{NAMES[dtype.name]}_gs_64_b_{bits}"
    run(kernel, dict(enumerate(values)), groups=(1, -(-n // 8), 5), group=(32, 2))
    picked = w.values[right].swapaxes(-1, -2), w.sizes[right].swapaxes(-1, -2)
    check(y[:, None], x[left], *picked, kernel)


@dtypes
@all_bits
def test_dequantize(run: Any, dtype: np.dtype[Any], bits: int) -> None:
    w = Weights(np.random.default_rng(bits), (6, 128), bits, 64, dtype)
    y = np.zeros((6, 128), dtype)
    packs = {3: 8, 5: 8, 6: 4}.get(bits, 8 // bits)
    run(f"affine_dequantize_{NAMES[dtype.name]}_gs_64_b_{bits}",
        {0: w.packed.view(np.uint8), 1: w.scales, 2: w.biases, 3: y},
        threads=(y.size // packs,), group=(32,))  # fmt: skip
    # The product is rounded to the type, then the sum.
    assert_within(y, w.values, 2 * output_rounding(w.sizes, dtype))


@dtypes
@all_bits
def test_quantize(run: Any, dtype: np.dtype[Any], bits: int) -> None:
    """No value comes back further off than half a step; the ends of a group set the step."""
    rng = np.random.default_rng(bits)
    x = random(rng, (6, 128), dtype)
    packed = np.zeros((6, 128 * bits // 8), np.uint8)
    scales, biases = np.zeros((6, 2), dtype), np.zeros((6, 2), dtype)
    run(f"affine_quantize_{NAMES[dtype.name]}_gs_64_b_{bits}",
        {0: x, 1: packed, 2: scales, 3: biases}, threads=(x.size // 2,), group=(32,))  # fmt: skip
    stream = np.unpackbits(packed, axis=-1, bitorder="little").reshape(6, 128, bits)
    q = (stream.astype(np.int64) << np.arange(bits)).sum(axis=-1)
    step, start = (np.repeat(v.astype(np.float64), 64, axis=-1) for v in (scales, biases))
    groups = x.astype(np.float64).reshape(6, 2, 64)
    widest = np.repeat(np.ptp(groups, axis=-1) / (2**bits - 1), 64, axis=-1)
    # Scale and bias are stored in the type; moving zero onto a step may stretch the range.
    slack = 4 * _ROUND[dtype.name] * np.abs(groups).max() * 2
    assert (np.abs(step * q + start - x.astype(np.float64)) <= 1.5 * widest + slack).all()
