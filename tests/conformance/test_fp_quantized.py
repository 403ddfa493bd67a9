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


def steps(array: Any) -> Any:
    return np.array([s // array.itemsize for s in array.strides], np.int64)


@pytest.fixture
def launch(run: Any, library: Any) -> Any:
    """launch(kernel, w, x, y, groups=...): binds by name what MLX's host code binds.

    Slots differ: qmm_n and the kernels for few vectors have no global scale between the scales and
    x, the others have one even where they do not use it.
    """

    def call(
        kernel: str, w: Weights, x: Any, y: Any, *, groups: tuple[int, ...],
        group: tuple[int, ...] = (32, 2), constants: Any = None, **more: Any,
    ) -> None:  # fmt: skip
        k, n = np.int32(x.shape[-1]), np.int32(y.shape[-1])
        named = {
            "w": w.packed, "scales": w.scales, "global_scale": ONE, "x": x, "y": y,
            "in_vec_size": k, "K": k, "out_vec_size": n, "N": n, "M": np.int32(y.shape[-2]),
            "x_batch_ndims": np.int32(x.ndim - 2), "x_shape": np.array(x.shape, np.int32),
            "x_strides": steps(x), "w_batch_ndims": np.int32(w.packed.ndim - 2),
            "w_shape": np.array(w.packed.shape, np.int32), "w_strides": steps(w.packed),
            "s_strides": steps(w.scales), **more,
        }  # fmt: skip
        slots = {a.name: a.slot for a in library.function(kernel).arguments if a.slot is not None}
        buffers = {slot: named[name] for name, slot in slots.items()}
        run(kernel, buffers, groups=groups, group=group, constants=constants)

    return call


@dtypes
@kinds
def test_matrix_vector(launch: Any, dtype: np.dtype[Any], kind: str) -> None:
    """qmv for any shape, qmv_fast for whole blocks; one matrix, then one for each batch."""
    rng = np.random.default_rng(3)
    for n, k, fast in ((19, 192, False), (16, 1024, True)):
        for batch in ((), (2,)):
            w = Weights(rng, (*batch, n, k), kind)
            x = random(rng, (*batch, 3, k), dtype)
            y = np.zeros((*batch, 3, n), dtype)
            kernel = w.prefix(f"qmv{'_fast' if fast else ''}", dtype)
            kernel += f"_batch_{len(batch)}_pr_0_hgs_0_r_4"
            launch(kernel, w, x, y, groups=(3, -(-n // 8), *batch))
            values = w.values.swapaxes(-1, -2)
            check(y, x, values, np.abs(values), kernel)


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
def test_few_vectors(launch: Any, dtype: np.dtype[Any], kind: str, form: str) -> None:
    rng = np.random.default_rng(5)
    n, k = (40, 128) if form == "quad" else (19, 192)
    w = Weights(rng, (n, k), kind)
    x = random(rng, (4, k), dtype)
    y = np.zeros((4, n), dtype)
    kernel = w.prefix(f"qmv_{form}", dtype)
    if form == "quad":
        kernel += "_d_128_batch_0"
        launch(kernel, w, x, y, groups=(4, -(-n // 64), 1), group=(32,))
    else:
        kernel += "_nv_4_kl_16_batch_0"
        launch(kernel, w, x, y, groups=(1, -(-n // 4), 1))
    check(y, x, w.values.T, np.abs(w.values.T), kernel)


@dtypes
@kinds
@pytest.mark.parametrize("batch", [(), (2,)], ids=["one", "batched"])
def test_vector_matrix(
    launch: Any, dtype: np.dtype[Any], kind: str, batch: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(6)
    k, n = 96, 128
    w = Weights(rng, (*batch, k, n), kind)
    x = random(rng, (*batch, 2, k), dtype)
    y = np.zeros((*batch, 2, n), dtype)
    kernel = w.prefix("qvm", dtype) + f"_batch_{len(batch)}"
    # Each of the two simdgroups makes as many columns as share a scale.
    launch(kernel, w, x, y, groups=(2, -(-n // (2 * KINDS[kind][2])), *(batch or (1,))))
    check(y, x, w.values, np.abs(w.values), kernel)


@dtypes
@kinds
def test_vector_matrix_in_parts(launch: Any, dtype: np.dtype[Any], kind: str) -> None:
    """Eight ranges of k, the last one shorter; another kernel adds up what they give.

    With less than a whole block in a range, the kernel would use weights it never loaded.
    """
    rng = np.random.default_rng(9)
    k, n, parts = 506, 64, 8
    size = -(-k // parts)
    w = Weights(rng, (k, n), kind)
    x = random(rng, (1, k), dtype)
    y = np.zeros((parts, 1, n), dtype)
    kernel = w.prefix("qvm_split_k", dtype) + f"_spk_{parts}"
    launch(
        kernel, w, x, y, groups=(1, -(-n // (2 * KINDS[kind][2])), parts),
        in_vec_size=np.int32(size), final_block_size=np.int32(k - (parts - 1) * size),
        x_batch_ndims=np.int32(1), x_shape=np.array([parts, 1, size], np.int32),
        x_strides=np.array([size, size, 1], np.int64), w_batch_ndims=np.int32(1),
        w_shape=np.array([parts, size, w.packed.shape[1]], np.int32),
        w_strides=np.array([size * w.packed.shape[1], *steps(w.packed)], np.int64),
        s_strides=np.array([size * w.scales.shape[1], *steps(w.scales)], np.int64),
    )  # fmt: skip
    for i in range(parts):
        rows = slice(i * size, (i + 1) * size)
        check(y[i], x[:, rows], w.values[rows], np.abs(w.values[rows]), f"{kernel} {i}")


@dtypes
@kinds
@pytest.mark.parametrize("batch", [(), (2,)], ids=["one", "batched"])
@pytest.mark.parametrize("transposed", [True, False], ids=["t", "n"])
def test_matrix_matrix(
    launch: Any, dtype: np.dtype[Any], kind: str, transposed: bool,
    batch: tuple[int, ...],
) -> None:  # fmt: skip
    rng = np.random.default_rng(7)
    m, n, k = (37, 45, 128) if transposed else (37, 64, 96)
    w = Weights(rng, (*batch, *((n, k) if transposed else (k, n))), kind)
    x = random(rng, (*batch, m, k), dtype)
    y = np.zeros((*batch, m, n), dtype)
    kernel = w.prefix(f"qmm_{'t' if transposed else 'n'}", dtype)
    kernel += f"{'_alN_false' if transposed else ''}_batch_{len(batch)}"
    launch(kernel, w, x, y, groups=(-(-n // 32), -(-m // 32), *(batch or (1,))),
           group=(32, 2, 2))  # fmt: skip
    values = w.values.swapaxes(-1, -2) if transposed else w.values
    check(y, x, values, np.abs(values), kernel)


@dtypes
@kinds
def test_matrix_matrix_in_parts(launch: Any, dtype: np.dtype[Any], kind: str) -> None:
    """Two halves of k, each a matrix of its own."""
    rng = np.random.default_rng(10)
    m, n, k = 37, 45, 128
    w = Weights(rng, (n, k), kind)
    x = random(rng, (m, k), dtype)
    y = np.zeros((2, m, n), np.float32)
    kernel = w.prefix("qmm_t_splitk", dtype) + "_alN_false"
    launch(
        kernel, w, x, y, groups=(-(-n // 32), -(-m // 32), 2), group=(32, 2, 2),
        k_partition_size=np.int32(k // 2), split_k_partition_stride=np.int32(m * n),
    )  # fmt: skip
    for i in range(2):
        half = w.values.T[i * k // 2 : (i + 1) * k // 2]
        check(y[i].astype(dtype), x[:, i * k // 2 : (i + 1) * k // 2], half, np.abs(half), kernel)


# Name: whether the matrices are transposed, and of a size without remainders.
GATHERED = {
    "gather_qmv": (True, False), "gather_qmv_fast": (True, True), "gather_qvm": (False, False),
    "gather_qmm_t": (True, False), "gather_qmm_n": (False, False),
}  # fmt: skip


@dtypes
@kinds
@pytest.mark.parametrize("name", GATHERED)
def test_gathered(launch: Any, dtype: np.dtype[Any], kind: str, name: str) -> None:
    """Vectors and matrices named by indices."""
    rng = np.random.default_rng(8)
    transposed, whole = GATHERED[name]
    n, k = (16, 512) if whole else (19, 192) if transposed else (64, 96)
    m = 37 if "qmm" in name else 1
    w = Weights(rng, (4, *((n, k) if transposed else (k, n))), kind)
    x = random(rng, (3, m, k), dtype)
    left, right = np.array([2, 0, 1, 2, 0], np.uint32), np.array([3, 3, 0, 1, 2], np.uint32)
    y = np.zeros((5, m, n), dtype)
    one = np.array([1], np.int64)
    kernel = w.prefix(name, dtype) + ("_alN_false" if name.endswith("_t") else "")
    columns = {"gather_qmv": 8, "gather_qmv_fast": 8, "gather_qvm": 2 * KINDS[kind][2]}
    tiles = (-(-n // 32), -(-m // 32)) if "qmm" in name else (m, -(-n // columns[name]))
    launch(kernel, w, x, y, groups=(*tiles, 5), group=(32, 2, 2) if "qmm" in name else (32, 2),
           lhs_indices=left, rhs_indices=right, batch_ndims=np.int32(1),
           batch_shape=np.array([5], np.int32), lhs_strides=one, rhs_strides=one)  # fmt: skip
    values = w.values.swapaxes(-1, -2) if transposed else w.values
    check(y, x[left], values[right], np.abs(values[right]), kernel)


@dtypes
@kinds
@pytest.mark.parametrize("transposed", [True, False], ids=["nt", "nn"])
def test_sorted_rows(launch: Any, dtype: np.dtype[Any], kind: str, transposed: bool) -> None:
    """Rows of x, sorted by the matrix each of them meets; some matrices meet none."""
    rng = np.random.default_rng(11)
    n, k = (45, 96) if transposed else (64, 96)
    counts = [20, 0, 17, 5]
    m = sum(counts)
    w = Weights(rng, (4, *((n, k) if transposed else (k, n))), kind)
    x = random(rng, (m, k), dtype)
    y = np.zeros((m, n), dtype)
    kernel = w.prefix(f"gather_qmm_rhs_{'nt' if transposed else 'nn'}", dtype)
    kernel += "_bm_16_bn_32_bk_32_wm_1_wn_2"
    offsets = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int32)
    tiles = sum(-(-count // 16) for count in counts)
    constants = {201: n % 32 == 0, 202: k % 32 == 0}  # whole blocks
    launch(kernel, w, x, y, groups=(-(-n // 32), tiles, 1), group=(32, 2, 1),
           constants=constants, offsets=offsets, num_groups=np.int32(4))  # fmt: skip
    values = w.values.swapaxes(-1, -2) if transposed else w.values
    for i, (start, count) in enumerate(zip(offsets, counts, strict=True)):
        rows = slice(start, start + count)
        if count:
            check(y[rows], x[rows], values[i], np.abs(values[i]), f"{kernel} {i}")


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
