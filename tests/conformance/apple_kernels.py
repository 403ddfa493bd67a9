# SPDX-License-Identifier: MIT
"""What the MLX kernels expect of their caller: type names, structures, launch sizes.

Facts of MLX's public interface between its host code and its kernels, in NumPy's terms. Those of
GEMM and attention are in pymfa/bench/steel.py, because the benchmarks need them too.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from pymfa.bench.steel import (
    SIMD,
    addmm_params,
    attention_params,
    gemm_params,
    metallib_path,
    tile_of,
)

Array = NDArray[Any]

bfloat16 = np.dtype(ml_dtypes.bfloat16)
__all__ = [
    "FLOATS",
    "SIMD",
    "addmm_params",
    "attention_params",
    "bfloat16",
    "gemm_params",
    "metallib_path",
    "per_thread",
    "row_threads",
    "tile_of",
    "type_name",
]

FLOATS = [np.dtype(np.float32), np.dtype(np.float16), bfloat16]


def type_name(dtype: np.dtype[Any]) -> str:
    return "bool_" if dtype == np.bool_ else dtype.name


def per_thread(dtype: np.dtype[Any]) -> int:
    """Elements that one thread of a `vn_` kernel handles."""
    return 8 // dtype.itemsize


def row_threads(width: int, reads: int) -> int:
    """Threads of the one threadgroup that handles a row, each reading `reads` elements."""
    return SIMD * -(-width // (reads * SIMD))
