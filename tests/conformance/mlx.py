# SPDX-License-Identifier: MIT
"""What the MLX kernels expect of their caller: type names, structures, launch sizes.

Facts of MLX's public interface between its host code and its kernels, in NumPy's terms.
"""

from __future__ import annotations

import re
import struct
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

bfloat16 = np.dtype(ml_dtypes.bfloat16)
FLOATS = [np.dtype(np.float32), np.dtype(np.float16), bfloat16]
SIMD = 32


def type_name(dtype: np.dtype[Any]) -> str:
    return "bool_" if dtype == np.bool_ else dtype.name


def per_thread(dtype: np.dtype[Any]) -> int:
    """Elements that one thread of a `vn_` kernel handles."""
    return 8 // dtype.itemsize


def row_threads(width: int, reads: int) -> int:
    """Threads of the one threadgroup that handles a row, each reading `reads` elements."""
    return SIMD * -(-width // (reads * SIMD))


def gemm_params(
    m: int, n: int, k: int, lda: int, ldb: int, ldd: int, tile: tuple[int, int, int],
    batch_strides: tuple[int, int, int] = (0, 0, 0), batch_dims: int = 1,
) -> bytes:  # fmt: skip
    """struct GEMMParams: M N K lda ldb ldd tiles_n tiles_m, three strides, swizzle, K rounds."""
    bm, bn, bk = tile
    tiles = (-(-n // bn), -(-m // bm))
    return struct.pack("<8i3q3i4x", m, n, k, lda, ldb, ldd, *tiles, *batch_strides, 0, k // bk,
                       batch_dims)  # fmt: skip


def addmm_params(ldc: int, fdc: int, alpha: float, beta: float) -> bytes:
    return struct.pack("<2iq2f", ldc, fdc, 0, alpha, beta)


def attention_params(
    q: Array, k: Array, v: Array, o: Array, scale: float, bq: int, bk: int
) -> bytes:
    """struct AttnParams for [batch, heads, length, width] arrays."""
    batch, heads, rows, width = q.shape
    columns = k.shape[2]
    strides = [s // x.itemsize for x in (q, k, v, o) for s in x.strides[:3]]
    return struct.pack(
        "<6if7i12q",
        *(batch, heads, width, rows, columns, heads // k.shape[1], scale),
        *(-(-rows // bq), -(-columns // bk), rows // bq, columns // bk),
        *(rows % bq, columns % bk, columns - rows),
        *strides,
    )


def tile_of(name: str) -> dict[str, int]:
    """The numbers in a kernel's name: `..._bm64_bn32_bk16_wm2_wn2` and the like."""
    return {key: int(value) for key, value in re.findall(r"_(b[a-z]|w[mn])(\d+)", name)}
