# SPDX-License-Identifier: MIT
"""Apple-compiled products beyond the fused one: split-K, gathered, segmented, masked, GEMV."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from apple_kernels import FLOATS, gemm_params, tile_of, type_name
from tolerance import Gemm, assert_within, random

dtypes = pytest.mark.parametrize("dtype", FLOATS, ids=type_name)
transposes = pytest.mark.parametrize("trans", ["nn", "nt", "tn", "tt"])


def stored(rng: Any, shape: tuple[int, ...], dtype: Any, transposed: bool) -> tuple[Any, Any]:
    """The matrices, and how they lie in memory."""
    x = random(rng, shape, dtype)
    return x, (np.ascontiguousarray(x.swapaxes(-1, -2)) if transposed else x)


def elements(x: Any) -> Any:
    """Strides in elements."""
    return np.array([s // x.itemsize for s in x.strides], np.int64)


@dtypes
@transposes
@pytest.mark.parametrize("shape", [(32, 32, 128), (45, 19, 75)], ids=["aligned", "ragged"])
def test_split_k(run: Any, dtype: np.dtype[Any], trans: str, shape: tuple[int, int, int]) -> None:
    """Each part of K makes a product of its own in float32; a second kernel adds them."""
    rng = np.random.default_rng(1)
    m, n, k = shape
    a, a_stored = stored(rng, (m, k), dtype, trans[0] == "t")
    b, b_stored = stored(rng, (k, n), dtype, trans[1] == "t")
    aligned = shape[0] % 32 == 0
    flags = f"MN_{'t' if aligned else 'n'}aligned_K_{'t' if aligned else 'n'}aligned"
    kernel = f"steel_gemm_splitk_{trans}_{dtype.name}_float32_bm32_bn32_bk16_wm2_wn2_{flags}"
    parts, rounds = 2, k // 16 // 2
    split = np.zeros((parts, m, n), np.float32)
    tiles = (-(-n // 32), -(-m // 32))
    params = struct.pack("<13i", m, n, k, a_stored.shape[1], b_stored.shape[1], n, *tiles, parts,
                         m * n, rounds * 16, 0, rounds)  # fmt: skip
    run(kernel, {0: a_stored, 1: b_stored, 2: split, 3: params}, groups=(*tiles, parts),
        group=(32, 2, 2))  # fmt: skip
    d = np.zeros((m, n), dtype)
    ints = [np.int32(x) for x in (parts, m * n, n)]
    buffers = dict(enumerate((split, d, *ints)))
    run(f"steel_gemm_splitk_accum_{dtype.name}_float32", buffers, threads=(n, m), group=(16, 16))
    reference = Gemm(a, b)
    assert_within(d, reference.expected, reference.tolerance, kernel)
    c = random(rng, (m, n), dtype)
    more = [c, np.int32(n), np.int32(1), np.float32(0.5), np.float32(-2)]
    buffers |= {5 + i: value for i, value in enumerate(more)}
    run(f"steel_gemm_splitk_accum_{dtype.name}_float32_axbpy", buffers, threads=(n, m),
        group=(16, 16))  # fmt: skip
    reference = Gemm(a, b, alpha=0.5, beta=-2.0, c=c)
    assert_within(d, reference.expected, reference.tolerance, kernel)


@dtypes
@transposes
def test_gather(run: Any, dtype: np.dtype[Any], trans: str) -> None:
    """Pairs of matrices named by two lists of indices."""
    rng = np.random.default_rng(2)
    m, n, k = 40, 33, 29
    a, a_stored = stored(rng, (3, m, k), dtype, trans[0] == "t")
    b, b_stored = stored(rng, (4, k, n), dtype, trans[1] == "t")
    left, right = np.array([2, 0, 1, 2, 0], np.uint32), np.array([3, 3, 0, 1, 2], np.uint32)
    d = np.zeros((5, m, n), dtype)
    kernel = f"steel_gather_mm_{trans}_{dtype.name}_{dtype.name}_bm32_bn64_bk16_wm1_wn2"
    tile = tile_of(kernel)
    blocks = (tile["bm"], tile["bn"], tile["bk"])
    params = gemm_params(m, n, k, a_stored.shape[-1], b_stored.shape[-1], n, blocks,
                         (1, 1, m * n), 1)  # fmt: skip
    one = np.array([1], np.int64)
    buffers = {
        0: a_stored, 1: b_stored, 2: left, 3: right, 4: d, 5: params, 6: np.array([5], np.int32),
        7: one, 8: one, 9: np.int32(1), 10: np.array(a_stored.shape, np.int32),
        11: elements(a_stored), 12: np.int32(1), 13: np.array(b_stored.shape, np.int32),
        14: elements(b_stored),
    }  # fmt: skip
    constants = {10: False} | {200 + i: False for i in range(3)}
    groups = (-(-n // tile["bn"]), -(-m // tile["bm"]), 5)
    run(kernel, buffers, constants=constants, groups=groups, group=(32, tile["wn"], tile["wm"]))
    reference = Gemm(a[left], b[right])
    assert_within(d, reference.expected, reference.tolerance, kernel)


@dtypes
@pytest.mark.parametrize("trans", ["nn", "nt"])
def test_gather_by_row(run: Any, dtype: np.dtype[Any], trans: str) -> None:
    """Every row of A names the matrix it is multiplied with, in ascending order."""
    rng = np.random.default_rng(3)
    m, n, k = 50, 70, 29
    a = random(rng, (m, k), dtype)
    b, b_stored = stored(rng, (4, k, n), dtype, trans[1] == "t")
    indices = np.sort(rng.integers(0, 4, m)).astype(np.uint32)
    offsets = np.searchsorted(indices, np.arange(5)).astype(np.int32)
    d = np.zeros((m, n), dtype)
    kernel = f"steel_gather_mm_rhs_{trans}_{dtype.name}_{dtype.name}_bm16_bn64_bk16_wm1_wn2"
    params = gemm_params(m, n, k, k, b_stored.shape[-1], n, (16, 64, 16), (0, k * n, 0), 0)
    run(kernel, {0: a, 1: b_stored, 2: offsets, 3: d, 4: params, 5: np.int32(4)},
        constants={201: False, 202: False}, groups=(-(-n // 64), -(-m // 16) + 4, 1),
        group=(32, 2, 1))  # fmt: skip
    reference = Gemm(a[:, None, :], b[indices])
    assert_within(d, reference.expected[:, 0], reference.tolerance[:, 0], kernel)


@dtypes
@transposes
def test_segmented(run: Any, dtype: np.dtype[Any], trans: str) -> None:
    """Products over ranges of K."""
    rng = np.random.default_rng(4)
    m, n, k = 40, 33, 90
    a, a_stored = stored(rng, (m, k), dtype, trans[0] == "t")
    b, b_stored = stored(rng, (k, n), dtype, trans[1] == "t")
    segments = np.array([[0, 32], [32, 45], [45, 45], [45, 90]], np.uint32)
    d = np.zeros((len(segments), m, n), dtype)
    kernel = f"steel_segmented_mm_{trans}_{dtype.name}_{dtype.name}_bm32_bn64_bk16_wm1_wn2"
    params = gemm_params(m, n, 0, a_stored.shape[-1], b_stored.shape[-1], n, (32, 64, 16),
                         (0, 0, m * n), 0)  # fmt: skip
    run(kernel, {0: a_stored, 1: b_stored, 2: segments, 3: d, 4: params},
        constants={199: True, 200: False, 201: False}, groups=(1, 2, len(segments)),
        group=(32, 2, 1))  # fmt: skip
    for (low, high), product in zip(segments, d, strict=True):
        reference = Gemm(a[:, low:high], b[low:high])
        assert_within(product, reference.expected, reference.tolerance, kernel)


MASKS = ["bool_ bool_", "bool_ T", "bool_ nomask", "T bool_", "T T", "T nomask", "nomask bool_",
         "nomask T"]  # fmt: skip


def masked(rng: Any, kind: str, blocks: tuple[int, int], dtype: Any) -> Any:
    if kind == "nomask":
        return None
    drop = rng.random(blocks) < 0.6
    return drop if kind == "bool_" else (drop * rng.random(blocks)).astype(dtype)


def spread(mask: Any, size: int, shape: tuple[int, int]) -> Any:
    """The mask of blocks as one of elements, float64."""
    if mask is None:
        return np.ones(shape)
    whole = np.repeat(np.repeat(mask.astype(np.float64), size, 0), size, 1)
    return whole[: shape[0], : shape[1]]


@dtypes
@pytest.mark.parametrize("trans", ["nt"])
@pytest.mark.parametrize("masks", MASKS)
def test_block_masks(run: Any, dtype: np.dtype[Any], trans: str, masks: str) -> None:
    """Blocks of the result and of both operands are left out, or scaled."""
    rng = np.random.default_rng(5)
    m, n, k = 50, 70, 90
    size = 32
    a, a_stored = stored(rng, (m, k), dtype, trans[0] == "t")
    b, b_stored = stored(rng, (k, n), dtype, trans[1] == "t")
    out, operand = (x.replace("T", dtype.name) for x in masks.split())
    tiles = [-(-x // size) for x in (m, n, k)]
    mask_d = masked(rng, masks.split()[0], (tiles[0], tiles[1]), dtype)
    mask_a = masked(rng, masks.split()[1], (tiles[0], tiles[2]), dtype)
    mask_b = masked(rng, masks.split()[1], (tiles[2], tiles[1]), dtype)
    d = np.zeros((m, n), dtype)
    kernel = (f"steel_gemm_block_outmask_{out}_opmask_{operand}_{trans}_{dtype.name}_{dtype.name}"
              f"_bm{size}_bn{size}_bk16_wm2_wn2_MN_naligned_K_naligned")  # fmt: skip
    params = gemm_params(m, n, k, a_stored.shape[1], b_stored.shape[1], n, (size, size, 16))
    buffers = {0: a_stored, 1: b_stored, 3: d, 4: params, 6: np.array([1], np.int32),
               7: np.zeros(8, np.int64)}  # fmt: skip
    strides = []
    for slot, mask in ((10, mask_d), (11, mask_a), (12, mask_b)):
        if mask is not None:
            buffers[slot] = mask
            strides += [1, mask.shape[1]]
    buffers[13] = np.array(strides, np.int32)
    run(kernel, buffers, groups=(tiles[1], tiles[0], 1), group=(32, 2, 2))
    a64 = a.astype(np.float64) * spread(mask_a, size, (m, k))
    b64 = b.astype(np.float64) * spread(mask_b, size, (k, n))
    keep = spread(mask_d, size, (m, n))
    reference = Gemm(a, b)
    # Scaled operands are rounded to the storage type before they are multiplied.
    scaled = {"float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}[dtype.name]
    extra = 4 * scaled * (np.abs(a64) @ np.abs(b64)) if "T" in masks else 0
    assert_within(d, (a64 @ b64) * keep, reference.tolerance + extra, kernel)


@dtypes
@pytest.mark.parametrize("shape", [(70, 130), (3, 45), (40, 1)])
@pytest.mark.parametrize("transposed", [False, True], ids=["gemv", "gemv_t"])
@pytest.mark.parametrize("axpby", [False, True], ids=["", "axpby"])
def test_gemv(
    run: Any, dtype: np.dtype[Any], shape: tuple[int, int], transposed: bool, axpby: bool
) -> None:
    """A batch of three, out = alpha * matrix @ vector + beta * bias."""
    rng = np.random.default_rng(6)
    rows, columns = shape
    matrix, matrix_stored = stored(rng, (3, rows, columns), dtype, transposed)
    vector, bias = random(rng, (3, columns, 1), dtype), random(rng, (3, rows, 1), dtype)
    out = np.zeros((3, rows), dtype)
    each = 1 if rows < 4 else 4
    if transposed:
        kernel, group, outputs = f"_bm1_bn2_sm8_sn4_tm4_tn{each}", (32, 2, 1), 2 * 4 * each
    elif columns <= 64:
        kernel, group, outputs = f"_bm1_bn1_sm8_sn4_tm{each}_tn4", (32, 1, 1), 8 * each
    else:
        kernel, group, outputs = f"_bm4_bn1_sm1_sn32_tm{each}_tn4", (32, 1, 4), 4 * each
    kernel = f"gemv{'_t' if transposed else ''}_{dtype.name}{kernel}_nc0_axpby{int(axpby)}"
    alpha, beta = (0.5, -2.0) if axpby else (1.0, 0.0)
    buffers: dict[int, Any] = {
        0: matrix_stored, 1: vector, 3: out, 4: np.int32(columns), 5: np.int32(rows),
        6: np.int32(matrix_stored.shape[-1]), 9: np.int32(1), 10: np.array([3], np.int32),
        11: np.array([columns], np.int64), 12: np.array([rows * columns], np.int64),
    }  # fmt: skip
    if axpby:
        buffers |= {2: bias, 7: np.float32(alpha), 8: np.float32(beta),
                    13: np.array([rows], np.int64), 14: np.int32(1)}  # fmt: skip
    run(kernel, buffers, groups=(-(-rows // outputs), 1, 3), group=group)
    reference = Gemm(matrix, vector, alpha=alpha, beta=beta, c=bias if axpby else None)
    assert_within(out, reference.expected[..., 0], reference.tolerance[..., 0], kernel)


@dtypes
@pytest.mark.parametrize("transposed", [False, True], ids=["gemv", "gemv_t"])
def test_gemv_gather(run: Any, dtype: np.dtype[Any], transposed: bool) -> None:
    rng = np.random.default_rng(7)
    rows, columns = 70, 130
    matrix, matrix_stored = stored(rng, (4, rows, columns), dtype, transposed)
    vector = random(rng, (3, columns, 1), dtype)
    left, right = np.array([2, 0, 1, 2, 0], np.uint32), np.array([3, 3, 0, 1, 2], np.uint32)
    out = np.zeros((5, rows), dtype)
    if transposed:
        kernel, group, outputs = "gemv_t_gather_{}_bm1_bn2_sm8_sn4_tm4_tn4", (32, 2, 1), 32
    else:
        kernel, group, outputs = "gemv_gather_{}_bm4_bn1_sm1_sn32_tm4_tn4", (32, 1, 4), 16
    buffers = {
        0: matrix_stored, 1: vector, 3: out, 4: np.int32(columns), 5: np.int32(rows),
        6: np.int32(matrix_stored.shape[-1]), 9: np.int32(1), 10: np.array([5], np.int32),
        11: np.array([1, 1], np.int64), 12: np.int32(1), 13: np.array([3], np.int32),
        14: np.array([columns], np.int64), 15: np.int32(1), 16: np.array([4], np.int32),
        17: np.array([rows * columns], np.int64), 18: left, 19: right,
    }  # fmt: skip
    run(kernel.format(dtype.name), buffers, groups=(-(-rows // outputs), 1, 5), group=group)
    reference = Gemm(matrix[right], vector[left])
    assert_within(out, reference.expected[..., 0], reference.tolerance[..., 0], kernel)


@dtypes
def test_dot_product(run: Any, library: Any, dtype: np.dtype[Any]) -> None:
    """One partial sum per threadgroup of 512 threads with 32 elements each."""
    size = 20000
    rng = np.random.default_rng(8)
    a, b = random(rng, (1, size), dtype), random(rng, (size, 1), dtype)
    blocks = -(-size // (32 * 512))
    parts = np.zeros(blocks, np.float32)
    run(f"dot_product_{dtype.name}_it32_tg512_sg16", {0: a, 1: b, 2: parts, 3: np.int32(size)},
        threads=(blocks * 512,), group=(512,))  # fmt: skip
    reference = Gemm(a, b)
    assert_within(parts.sum(dtype=np.float64), reference.expected[0, 0], reference.tolerance[0, 0])
