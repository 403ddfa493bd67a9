# SPDX-License-Identifier: MIT
"""Apple-compiled GEMMs of MLX: four transposes, three types, aligned and ragged, with addition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from apple_kernels import FLOATS, type_name
from tolerance import Gemm, assert_within, random

from pymfa.bench import steel

TILES = ["bm32_bn32_bk16_wm2_wn2", "bm64_bn64_bk16_wm2_wn2"]


def multiply(run: Any, kernel: str, a: Any, b: Any, **options: Any) -> Any:
    """a and b as stored; batched over the first axis where they have three."""
    m = a.shape[-1] if options.get("trans_a") else a.shape[-2]
    n = b.shape[-2] if options.get("trans_b") else b.shape[-1]
    d = np.zeros((*a.shape[:-2], m, n), a.dtype)
    launch = steel.gemm(kernel, a, b, d, **options)
    # With a C and ragged rows the kernel reads rows of C behind the last (docs/validation.md).
    run(kernel, launch.buffers, constants=launch.constants, groups=launch.groups,
        group=launch.group, fence="c" not in options)  # fmt: skip
    return d


def stored(rng: Any, rows: int, columns: int, dtype: Any, transposed: bool) -> tuple[Any, Any]:
    """The matrix, and how it lies in memory."""
    x = random(rng, (rows, columns), dtype)
    return x, (np.ascontiguousarray(x.T) if transposed else x)


@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize("dtype", FLOATS, ids=type_name)
@pytest.mark.parametrize("trans", ["nn", "nt", "tn", "tt"])
@pytest.mark.parametrize("shape", [(64, 64, 64), (70, 33, 45)], ids=["aligned", "ragged"])
def test_gemm(
    run: Any, tile: str, dtype: np.dtype[Any], trans: str, shape: tuple[int, int, int]
) -> None:
    rng = np.random.default_rng(1)
    m, n, k = shape
    a, a_stored = stored(rng, m, k, dtype, trans[0] == "t")
    b, b_stored = stored(rng, k, n, dtype, trans[1] == "t")
    kernel = f"steel_gemm_fused_{trans}_{dtype.name}_{dtype.name}_{tile}"
    d = multiply(run, kernel, a_stored, b_stored, trans_a=trans[0] == "t", trans_b=trans[1] == "t")
    reference = Gemm(a, b)
    assert_within(d, reference.expected, reference.tolerance, kernel)


def test_addition(run: Any) -> None:
    rng = np.random.default_rng(2)
    a, b, c = (random(rng, s, np.float32) for s in ((40, 20), (20, 50), (40, 50)))
    kernel = f"steel_gemm_fused_nn_float32_float32_{TILES[0]}"
    d = multiply(run, kernel, a, b, c=c, alpha=0.5, beta=-2.0)
    reference = Gemm(a, b, alpha=0.5, beta=-2.0, c=c)
    assert_within(d, reference.expected, reference.tolerance)


def test_batch(run: Any) -> None:
    rng = np.random.default_rng(4)
    a, b = random(rng, (3, 40, 24), np.float16), random(rng, (3, 24, 36), np.float16)
    kernel = f"steel_gemm_fused_nn_float16_float16_{TILES[0]}"
    d = multiply(run, kernel, a, b)
    reference = Gemm(a, b)
    assert_within(d, reference.expected, reference.tolerance)
