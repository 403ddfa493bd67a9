# SPDX-License-Identifier: MIT
"""Apple-compiled FP4 and FP8 quantization: mxfp4, mxfp8, nvfp4, and products with such weights."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from apple_kernels import FLOATS, type_name
from test_quantized import NAMES, check
from tolerance import output_rounding, random

# Name: type of an element, its bits, elements that share a scale, type of a scale.
KINDS: dict[str, tuple[Any, int, int, Any]] = {
    "mxfp4": (ml_dtypes.float4_e2m1fn, 4, 32, ml_dtypes.float8_e8m0fnu),
    "nvfp4": (ml_dtypes.float4_e2m1fn, 4, 16, ml_dtypes.float8_e4m3fn),
    "mxfp8": (ml_dtypes.float8_e4m3fn, 8, 32, ml_dtypes.float8_e8m0fnu),
}
dtypes = pytest.mark.parametrize("dtype", FLOATS, ids=type_name)
kinds = pytest.mark.parametrize("kind", KINDS)
ONE = np.float32(1)  # the global scale of kernels that ignore it


def decode(codes: Any, dtype: Any) -> Any:
    return codes.astype(np.uint8).view(dtype).astype(np.float64)


def scale_codes(rng: Any, kind: str, shape: tuple[int, ...]) -> Any:
    """Scales around one."""
    if KINDS[kind][3] is ml_dtypes.float8_e8m0fnu:
        return rng.integers(124, 130, shape).astype(np.uint8)
    return rng.uniform(0.25, 2, shape).astype(ml_dtypes.float8_e4m3fn).view(np.uint8)


def pack(codes: Any, bits: int) -> Any:
    """Two numbers of 4 bits to a byte, the first in the low half; in 32-bit words."""
    if bits == 4:
        codes = codes[..., ::2] | codes[..., 1::2] << 4
    return np.ascontiguousarray(codes.astype(np.uint8)).view(np.uint32)


class Weights:
    """w[row, column] = scale * element, a scale for each group along a row."""

    def __init__(self, rng: Any, shape: tuple[int, ...], kind: str, global_scale: Any = ONE):
        element, bits, group, scale = KINDS[kind]
        codes = rng.integers(0, 2**bits, shape)
        if bits == 8:
            codes[(codes & 127) == 127] = 0  # NaN
        self.packed = pack(codes, bits)
        self.scales = scale_codes(rng, kind, (*shape[:-1], shape[-1] // group))
        scales = np.repeat(decode(self.scales, scale), group, axis=-1)
        self.values = scales * decode(codes, element) * float(global_scale)
        self.prefix = lambda name, dtype: f"{kind}_{name}_{NAMES[dtype.name]}_gs_{group}_b_{bits}"


@dtypes
@kinds
def test_dequantize(run: Any, dtype: np.dtype[Any], kind: str) -> None:
    w = Weights(np.random.default_rng(1), (6, 128), kind)
    y = np.zeros((6, 128), dtype)
    each = 8 // KINDS[kind][1]
    run(w.prefix("dequantize", dtype) + "_hgs_false",
        {0: w.packed.view(np.uint8), 1: w.scales, 2: ONE, 3: y},
        threads=(y.size // each,), group=(32,))  # fmt: skip
    np.testing.assert_array_equal(y, w.values.astype(dtype))


@dtypes
@kinds
def test_quantize(run: Any, dtype: np.dtype[Any], kind: str) -> None:
    """What comes back is the nearest number of the type, times the scale, wherever that reaches."""
    element, bits, group, scale = KINDS[kind]
    x = random(np.random.default_rng(2), (6, 128), dtype)
    packed = np.zeros((6, 128 * bits // 8), np.uint8)
    scales = np.zeros((6, 128 // group), np.uint8)
    name = f"{kind}_quantize_{NAMES[dtype.name]}_gs_{group}_b_{bits}_hgs_false"
    run(name, {0: x, 1: packed, 2: scales, 3: ONE}, threads=(x.size,), group=(32,))
    codes = packed
    if bits == 4:
        codes = np.stack([packed & 15, packed >> 4], axis=-1).reshape(x.shape)
    steps = np.repeat(decode(scales, scale), group, axis=-1)
    assert (steps > 0).all()
    wanted = x.astype(np.float64) / steps
    largest = float(ml_dtypes.finfo(element).max)
    numbers = decode(np.arange(2**bits), element)
    numbers = np.sort(numbers[np.isfinite(numbers)])
    nearest = np.abs(np.clip(wanted, -largest, largest)[..., None] - numbers).min(axis=-1)
    found = np.abs(decode(codes, element) - np.clip(wanted, -largest, largest))
    assert (found <= nearest * (1 + 2.0**-20) + 2.0**-20).all()
    # The largest of a group is not cut by more than the scale's own rounding.
    cut = np.abs(wanted).reshape(6, -1, group).max(axis=-1) / largest
    assert (cut <= (4 / 3 if kind != "nvfp4" else 1 + 2.0**-4)).all()

    both = np.zeros_like(x)
    run(name.replace("quantize", "quantize_dequantize"), {0: x, 1: ONE, 2: both},
        threads=(x.size,), group=(32,))  # fmt: skip
    np.testing.assert_array_equal(both, (decode(codes, element) * steps).astype(dtype))


@dtypes
@kinds
def test_matrix_vector(run: Any, dtype: np.dtype[Any], kind: str) -> None:
    """qmv for any shape, qmv_fast for whole blocks."""
    rng = np.random.default_rng(3)
    for n, k, fast in ((19, 192, False), (16, 1024, True)):
        w = Weights(rng, (n, k), kind)
        x = random(rng, (3, k), dtype)
        y = np.zeros((3, n), dtype)
        kernel = w.prefix(f"qmv{'_fast' if fast else ''}", dtype) + "_batch_0_pr_0_hgs_0_r_4"
        buffers = dict(enumerate((w.packed, w.scales, ONE, x, y, np.int32(k), np.int32(n))))
        run(kernel, buffers, groups=(3, -(-n // 8), 1), group=(32, 2))
        check(y, x, w.values.T, np.abs(w.values.T), kernel)


@dtypes
@kinds
def test_global_scale(run: Any, dtype: np.dtype[Any], kind: str) -> None:
    """Some kernels take one more scale, for the whole matrix."""
    rng = np.random.default_rng(4)
    n, k = 19, 192
    w = Weights(rng, (n, k), kind)
    x = random(rng, (3, k), dtype)
    scale = np.float32(1.5)
    results = []
    for given, suffix in ((ONE, "0"), (scale, "1"), (2 * scale, "1")):
        y = np.zeros((3, n), dtype)
        kernel = w.prefix("qmv", dtype) + f"_batch_0_pr_0_hgs_{suffix}_r_4"
        buffers = dict(enumerate((w.packed, w.scales, given, x, y, np.int32(k), np.int32(n))))
        run(kernel, buffers, groups=(3, -(-n // 8), 1), group=(32, 2))
        results.append(y.astype(np.float64))
    assert (np.abs(results[0]) > 0).all()
    ratio = (results[1] / results[0]).mean()
    kernel = "with a global scale"
    # A power of two between the two scales: the same rounding everywhere but among subnormals.
    np.testing.assert_array_equal(results[2], 2 * results[1], kernel)
    values = ratio * w.values.T
    check(results[1].astype(dtype), x, values, np.abs(values), kernel)


@dtypes
@kinds
@pytest.mark.parametrize("form", ["quad", "wide"])
def test_few_vectors(run: Any, dtype: np.dtype[Any], kind: str, form: str) -> None:
    rng = np.random.default_rng(5)
    n, k = (40, 128) if form == "quad" else (19, 192)
    w = Weights(rng, (n, k), kind)
    x = random(rng, (4, k), dtype)
    y = np.zeros((4, n), dtype)
    kernel = w.prefix(f"qmv_{form}", dtype)
    buffers = dict(enumerate((w.packed, w.scales, x, y, np.int32(k), np.int32(n))))
    if form == "quad":
        run(f"{kernel}_d_128_batch_0", buffers, groups=(4, -(-n // 64), 1), group=(32,))
    else:
        buffers[6] = np.int32(4)
        run(f"{kernel}_nv_4_kl_16_batch_0", buffers, groups=(1, -(-n // 4), 1), group=(32, 2))
    check(y, x, w.values.T, np.abs(w.values.T), kernel)


@dtypes
@kinds
def test_vector_matrix(run: Any, dtype: np.dtype[Any], kind: str) -> None:
    rng = np.random.default_rng(6)
    k, n = 96, 128
    w = Weights(rng, (k, n), kind)
    x = random(rng, (2, k), dtype)
    y = np.zeros((2, n), dtype)
    kernel = w.prefix("qvm", dtype) + "_batch_0"
    buffers = dict(enumerate((w.packed, w.scales, ONE, x, y, np.int32(k), np.int32(n))))
    # Each of the two simdgroups makes as many columns as share a scale.
    run(kernel, buffers, groups=(2, -(-n // (2 * KINDS[kind][2])), 1), group=(32, 2))
    check(y, x, w.values, np.abs(w.values), kernel)


@dtypes
@kinds
def test_matrix_matrix(run: Any, dtype: np.dtype[Any], kind: str) -> None:
    """Weights transposed, as MLX's layers hold them."""
    rng = np.random.default_rng(7)
    m, n, k = 37, 45, 128
    w = Weights(rng, (n, k), kind)
    x = random(rng, (m, k), dtype)
    y = np.zeros((m, n), dtype)
    kernel = w.prefix("qmm_t", dtype) + "_alN_false_batch_0"
    sizes = [np.int32(s) for s in (k, n, m)]
    buffers = dict(enumerate((w.packed, w.scales, ONE, x, y, *sizes)))
    run(kernel, buffers, groups=(-(-n // 32), -(-m // 32), 1), group=(32, 2, 2))
    check(y, x, w.values.T, np.abs(w.values.T), kernel)


@dtypes
@kinds
def test_gathered(run: Any, library: Any, dtype: np.dtype[Any], kind: str) -> None:
    """Vectors and matrices named by indices."""
    rng = np.random.default_rng(8)
    n, k = 19, 192
    w = Weights(rng, (4, n, k), kind)
    x = random(rng, (3, 1, k), dtype)
    left, right = np.array([2, 0, 1, 2, 0], np.uint32), np.array([3, 3, 0, 1, 2], np.uint32)
    y = np.zeros((5, n), dtype)
    one = np.array([1], np.int64)
    strides = [np.array([s // a.itemsize for s in a.strides], np.int64)
               for a in (x, w.packed, w.scales)]  # fmt: skip
    named = {
        "w": w.packed, "scales": w.scales, "global_scale": ONE, "x": x, "y": y,
        "lhs_indices": left, "rhs_indices": right, "in_vec_size": np.int32(k),
        "out_vec_size": np.int32(n), "x_batch_ndims": np.int32(1),
        "x_shape": np.array(x.shape, np.int32), "x_strides": strides[0],
        "w_batch_ndims": np.int32(1), "w_shape": np.array(w.packed.shape, np.int32),
        "w_strides": strides[1], "s_strides": strides[2], "batch_ndims": np.int32(1),
        "batch_shape": np.array([5], np.int32), "lhs_strides": one, "rhs_strides": one,
    }  # fmt: skip
    kernel = w.prefix("gather_qmv", dtype)
    buffers = {a.slot: named[a.name] for a in library.function(kernel).arguments}
    run(kernel, buffers, groups=(1, -(-n // 8), 5), group=(32, 2))
    check(y[:, None], x[left], w.values[right].swapaxes(-1, -2),
          np.abs(w.values[right]).swapaxes(-1, -2), kernel)  # fmt: skip


def test_conversions(run: Any) -> None:
    """float -> FP8 (e4m3) -> float, every code and everything between two of them."""
    codes = np.arange(256, dtype=np.uint8)
    finite = np.isfinite(codes.view(ml_dtypes.float8_e4m3fn).astype(np.float32))
    y = np.zeros(256, np.float32)
    run("v_FromFP8uint8float32", {0: codes, 1: y, 2: np.uint32(256)}, threads=(256,), group=(32,))
    np.testing.assert_array_equal(y[finite], decode(codes, ml_dtypes.float8_e4m3fn)[finite])
    x = np.linspace(-440, 440, 4001, dtype=np.float32)
    back = np.zeros(x.size, np.uint8)
    run("v_ToFP8float32uint8", {0: x, 1: back, 2: np.uint32(x.size)}, threads=(x.size,),
        group=(32,))  # fmt: skip
    error = np.abs(decode(back, ml_dtypes.float8_e4m3fn) - x)
    nearest = np.abs(x.astype(ml_dtypes.float8_e4m3fn).astype(np.float64) - x)
    assert (error <= nearest + output_rounding(x, np.dtype(np.float32))).all()
