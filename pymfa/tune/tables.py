# SPDX-License-Identifier: MIT
"""The tuning tables of native/host/tuning.h as Python: classes of problems, tiles, rows as text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pymfa

ANY = "any"
TYPES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}
Tile = tuple[Any, ...]  # values of Table.columns


@dataclass(frozen=True)
class Class:
    """Problems that share a row: its preconditions, and the problems it is measured on."""

    reason: str
    limits: dict[str, int]
    shapes: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Table:
    """`steps` are what one column may take; the search changes one at a time."""

    name: str
    preconditions: tuple[str, ...]
    columns: tuple[str, ...]
    steps: dict[str, tuple[Any, ...]]
    classes: tuple[Class, ...]
    dtypes: tuple[str, ...] = field(default=("float32", "float16", "bfloat16"))

    def neighbours(self, tile: Tile) -> Iterator[Tile]:
        """Tiles that differ in one column, or in both of the first two."""
        for i, column in enumerate(self.columns):
            for value in self.steps[column]:
                if value != tile[i]:
                    yield (*tile[:i], value, *tile[i + 1 :])
        for first in self.steps[self.columns[0]]:
            for second in self.steps[self.columns[1]]:
                if first != tile[0] and second != tile[1]:
                    yield (first, second, *tile[2:])

    def row(self, device: pymfa.Device, dtype: str, of: Class, tile: Tile, reason: str) -> str:
        gpu = device.backend == "metal"
        limits = [of.limits.get(name, ANY) for name in self.preconditions]
        values = [gpu, TYPES[dtype], *limits, *tile]
        text = ", ".join(str(v).lower() if isinstance(v, bool) else str(v) for v in values)
        return f'    {{{text}, "{reason}", "{device_part(device)}"}},'


def device_part(device: pymfa.Device) -> str:
    """What rows ask of a device: its vector instructions if it is a CPU, else its name."""
    if device.backend == "metal":
        return device.description
    return device.description.rstrip(")").rpartition(", ")[2]


GEMM = Table(
    name="gemm_tiles",
    preconditions=("max_M", "max_N", "max_K", "max_elements"),
    columns=("M_simd", "N_simd", "K_simd", "M_splits", "N_splits", "A_padding", "B_padding",
             "tile_float", "staged"),
    steps={
        "M_simd": (8, 16, 24, 32, 48, 64, 128),
        "N_simd": (8, 16, 24, 32, 48, 64, 128),
        "K_simd": (16, 24, 32, 64, 128),
        "M_splits": (1, 2),
        "N_splits": (1, 2, 4),
        "A_padding": (0, 8),
        "B_padding": (0, 8),
        "tile_float": (False, True),
        "staged": (False, True),
    },
    classes=(
        Class("at most 8 rows", {"max_M": 8}, ((5, 1024, 1024), (8, 1024, 1024))),
        Class("at most 16 rows", {"max_M": 16}, ((16, 1024, 1024),)),
        Class("at most 8 columns", {"max_N": 8}, ((1024, 5, 1024), (1024, 8, 1024))),
        Class("at most 16 columns", {"max_N": 16}, ((1024, 16, 1024),)),
        Class("at most 32 rows", {"max_M": 32}, ((32, 1024, 1024),)),
        Class("at most 32 columns", {"max_N": 32}, ((1024, 32, 1024),)),
        Class("K is at most 32", {"max_K": 32}, ((1024, 1024, 32),)),
        Class("few elements", {"max_elements": 65536}, ((256, 256, 256), (128, 384, 384))),
        Class("medium", {"max_elements": 1 << 20}, ((512, 512, 512), (128, 1536, 384))),
        Class("large matrices", {}, ((1024, 1024, 1024), (4096, 384, 384), (2048, 2048, 512))),
    ),
)  # fmt: skip

ATTENTION = Table(
    name="attention_tiles",
    preconditions=("max_R", "max_D"),
    columns=("R_simd", "C_simd", "R_splits", "staged"),
    steps={
        "R_simd": (8, 16, 32, 64),
        "C_simd": (8, 16, 32, 64, 128),
        "R_splits": (1, 2, 4, 8),
        "staged": (False, True),
    },
    classes=(
        Class("at most 8 queries", {"max_R": 8}, ((1, 4096, 64), (8, 4096, 64))),
        Class("at most 16 queries", {"max_R": 16}, ((16, 4096, 64),)),
        Class("at most 32 queries", {"max_R": 32}, ((32, 4096, 64),)),
        Class("heads of at most 64", {"max_D": 64}, ((1024, 1024, 64), (1024, 1024, 40))),
        Class("heads of at most 128", {"max_D": 128}, ((1024, 1024, 128), (1024, 1024, 96))),
        Class("heads of at most 256", {"max_D": 256}, ((512, 1024, 256),)),
    ),
)

TABLES = {table.name.removesuffix("_tiles"): table for table in (GEMM, ATTENTION)}
