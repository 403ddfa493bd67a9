# SPDX-License-Identifier: MIT
"""Kernels that Apple's tools compiled, from the mlx-metal package: what they expect of a caller.

Facts of MLX's public interface between its host code and its kernels, in NumPy's terms. The
conformance tests drive the kernels by the same functions.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import pymfa
from pymfa.bench.operands import distance, float16, float32, random
from pymfa.bench.rounds import OURS, Call, Case, timed

SIMD = 32


def metallib_path() -> Path | None:
    """MFA_MLX_METALLIB, or what ./dev downloaded into its cache."""
    given = os.environ.get("MFA_MLX_METALLIB")
    if given:
        return Path(given)
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "pymfa"
    found = sorted(cache.glob("mlx-metal*.metallib"))
    return found[-1] if found else None


@dataclass
class Launch:
    """A kernel with all that a dispatch of it needs."""

    kernel: str
    buffers: dict[int, Any]
    groups: tuple[int, int, int]
    group: tuple[int, int, int]
    constants: dict[int | str, Any] = field(default_factory=dict)

    def call(self, library: pymfa.Library) -> Call:
        pipeline = library.pipeline(self.kernel, constants=self.constants)

        def run() -> None:
            with library.device.commands() as commands:
                commands.dispatch(pipeline, buffers=self.buffers, threadgroups=self.groups,
                                  threads_per_threadgroup=self.group)  # fmt: skip

        return run


def tile_of(name: str) -> dict[str, int]:
    """The numbers in a kernel's name: `..._bm64_bn32_bk16_wm2_wn2` and the like."""
    return {key: int(value) for key, value in re.findall(r"_(b[a-z]|w[mn])(\d+)", name)}


def gemm_params(
    m: int, n: int, k: int, lda: int, ldb: int, ldd: int, tile: tuple[int, int, int],
    batch_strides: tuple[int, ...] = (0, 0, 0), batch_dims: int = 1,
) -> bytes:  # fmt: skip
    """struct GEMMParams: M N K lda ldb ldd tiles_n tiles_m, three strides, swizzle, K rounds."""
    bm, bn, bk = tile
    tiles = (-(-n // bn), -(-m // bm))
    return struct.pack("<8i3q3i4x", m, n, k, lda, ldb, ldd, *tiles, *batch_strides, 0, k // bk,
                       batch_dims)  # fmt: skip


def addmm_params(ldc: int, fdc: int, alpha: float, beta: float) -> bytes:
    return struct.pack("<2iq2f", ldc, fdc, 0, alpha, beta)


def gemm(
    kernel: str, a: Any, b: Any, d: Any, *, trans_a: bool = False, trans_b: bool = False,
    c: Any = None, alpha: float = 1.0, beta: float = 0.0,
) -> Launch:  # fmt: skip
    """d = alpha * op(a) @ op(b) + beta * c; a and b as stored, batched where they have 3 axes."""
    tile = tile_of(kernel)
    m, k = a.shape[-2:][::-1] if trans_a else a.shape[-2:]
    n = b.shape[-2] if trans_b else b.shape[-1]
    blocks = (tile["bm"], tile["bn"], tile["bk"])
    strides = tuple(int(np.prod(x.shape[-2:])) for x in (a, b, d))
    params = gemm_params(m, n, k, a.shape[-1], b.shape[-1], n, blocks, strides)
    buffers = {0: a, 1: b, 3: d, 4: params}
    if c is not None:
        buffers |= {2: c, 5: addmm_params(n, 1, alpha, beta)}
    constants: dict[int | str, Any] = {10: False, 100: c is not None, 110: c is not None}
    constants |= {200 + i: size % block == 0 for i, (size, block) in
                  enumerate(zip((m, n, k), blocks, strict=True))}  # fmt: skip
    groups = (-(-n // tile["bn"]), -(-m // tile["bm"]), a.shape[0] if a.ndim == 3 else 1)
    return Launch(kernel, buffers, groups, (SIMD, tile["wn"], tile["wm"]), constants)


def attention_params(q: Any, k: Any, v: Any, o: Any, scale: float, bq: int, bk: int) -> bytes:
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


def attention_kernel(library: pymfa.Library, dtype: Any, width: int, mask: str) -> str:
    """The tiled kernel for heads of this width; `mask` is bool_ or the type of an additive one."""
    pattern = re.compile(
        rf"steel_attention_{np.dtype(dtype).name}_bq\d+_bk\d+_bd{width}(_bv{width})?"
        rf"_wm\d_wn\d_mask{mask}"
    )
    found = [name for name in library.functions if pattern.fullmatch(name)]
    assert found, f"no {pattern.pattern}"
    return sorted(found)[0]


def declared(
    library: pymfa.Library, kernel: str, given: dict[int | str, bool]
) -> dict[int | str, bool]:
    """The constants that this version of the kernel has; false for those not given."""
    return {c.index: given.get(c.index, False) for c in library.function(kernel).constants}


def attention(
    library: pymfa.Library, kernel: str, q: Any, k: Any, v: Any, o: Any, scale: float, *,
    mask: Any = None, causal: bool = False,
) -> Launch:  # fmt: skip
    tile = tile_of(kernel)
    batch, heads, rows, _ = q.shape
    columns = k.shape[2]
    buffers = {0: q, 1: k, 2: v, 3: o}
    buffers[4] = attention_params(q, k, v, o, scale, tile["bq"], tile["bk"])
    if mask is not None:
        buffers[5] = struct.pack("<3q", heads * rows * columns, rows * columns, columns)
        buffers[6] = mask
    given: dict[int | str, bool] = {200: rows % tile["bq"] == 0, 201: columns % tile["bk"] == 0}
    given |= {300: mask is not None, 301: causal}
    groups = (-(-rows // tile["bq"]), heads, batch)
    return Launch(kernel, buffers, groups, (SIMD, tile["wm"], tile["wn"]),
                  declared(library, kernel, given))  # fmt: skip


# ---- cases: ours beside Apple's, on one device ----------------------------------------------

N = 1024
SHAPE = (1, 8, N, 64)
TILES = ("bm64_bn64_bk16_wm2_wn2", "bm64_bn64_bk16_wm1_wn2")


def opened() -> pymfa.Library | None:
    path = metallib_path()
    return pymfa.device().library(path) if path is not None and path.is_file() else None


def products() -> Iterator[Case]:
    library = opened()
    for dtype in (float32, float16):
        for trans in ("nn", "nt"):
            yield _product(library, dtype, trans)


def _product(library: pymfa.Library | None, dtype: np.dtype[Any], trans: str) -> Case:
    a, b, ours, theirs = (random((N, N), dtype, seed) for seed in range(4))
    multiply = pymfa.sgemm if dtype == float32 else pymfa.hgemm
    trans_b = trans == "nt"
    contenders: dict[str, Call] = {OURS: lambda: multiply(a, b, trans_b=trans_b, out=ours)}
    for tile in TILES:
        kernel = f"steel_gemm_fused_{trans}_{dtype}_{dtype}_{tile}"
        if library and kernel in library.functions:
            launch = gemm(kernel, a, b, theirs, trans_b=trans_b)
            contenders[f"mlx {tile}"] = launch.call(library)
    return _beside("steel_gemm", f"{N}³ {trans} {dtype}", contenders, 2.0 * N**3, ours, theirs)


def attentions() -> Iterator[Case]:
    library = opened()
    yield from (_attention(library, dtype) for dtype in (float32, float16))


def _attention(library: pymfa.Library | None, dtype: np.dtype[Any]) -> Case:
    q, k, v, ours, theirs = (random(SHAPE, dtype, seed) for seed in range(5))
    contenders: dict[str, Call] = {OURS: lambda: pymfa.attention(q, k, v, out=ours)}
    _, heads, rows, width = SHAPE
    if library:
        kernel = attention_kernel(library, dtype, width, dtype.name)
        launch = attention(library, kernel, q, k, v, theirs, width**-0.5)
        contenders["mlx"] = launch.call(library)
    label = "×".join(map(str, SHAPE)) + f" {dtype}"
    work = 4.0 * heads * rows * rows * width
    return _beside("steel_attention", label, contenders, work, ours, theirs)


def _beside(
    op: str, label: str, contenders: dict[str, Call], work: float, ours: Any, theirs: Any
) -> Case:
    """The ratio is to the fastest of the others; the error is the distance from their result."""
    others = {name: call for name, call in contenders.items() if name != OURS}
    for call in others.values():
        call()
    return Case(
        op=op,
        label=label,
        size=N,
        contenders=contenders,
        against=min(others, key=lambda name: timed(others[name], 3), default=""),
        work=work,
        error=(lambda: distance(ours, theirs)) if others else None,
    )
