# SPDX-License-Identifier: MIT
"""A class of problems -> its fastest tile, found by changing one or two columns at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import pymfa
from pymfa.bench.operands import geometric_mean, random
from pymfa.bench.rounds import settle, timed

from .tables import GEMM, Class, Table, Tile

SAMPLE = 0.01  # seconds that a screening sample lasts
WORTH = 1.03  # how much faster a tile has to be to replace one
FINAL_ROUNDS = 7

DTYPES = {"float32": np.float32, "float16": np.float16, "bfloat16": pymfa.bfloat16}
PRODUCTS = {"float32": pymfa.sgemm, "float16": pymfa.hgemm, "bfloat16": pymfa.bgemm}
HEADS = 8


@dataclass
class Work:
    """One problem: calling it runs it, on whichever tile is set."""

    problem: pymfa.Problem
    call: Callable[[], Any]
    out: Any
    operations: float
    expected: Any = None


def product(dtype: str, shape: tuple[int, ...], device: pymfa.Device) -> Work:
    m, n, k = shape
    a, b, out = (random(size, DTYPES[dtype], 1) for size in ((m, k), (k, n), (m, n)))
    multiply = PRODUCTS[dtype]
    return Work(
        problem=pymfa.GemmDesc(m, n, k, dtype),
        call=lambda: multiply(a, b, out=out, device=device),
        out=out,
        operations=2.0 * m * n * k,
    )


def attention(dtype: str, shape: tuple[int, ...], device: pymfa.Device) -> Work:
    rows, columns, width = shape
    q, out = (random((1, HEADS, rows, width), DTYPES[dtype], seed) for seed in (1, 2))
    k, v = (random((1, HEADS, columns, width), DTYPES[dtype], seed) for seed in (3, 4))
    return Work(
        problem=pymfa.AttentionDesc(rows, columns, width, H=HEADS, dtype=dtype),
        call=lambda: pymfa.attention(q, k, v, out=out, device=device),
        out=out,
        operations=4.0 * HEADS * rows * columns * width,
    )


@dataclass
class Search:
    device: pymfa.Device
    table: Table
    dtype: str
    of: Class
    say: Callable[[str], None]
    works: list[Work] = field(default_factory=list)
    speeds: dict[Tile, float] = field(default_factory=dict)  # GFLOP/s; 0: cannot be used

    def __post_init__(self) -> None:
        make = product if self.table.name == GEMM.name else attention
        self.works = [make(self.dtype, shape, self.device) for shape in self.of.shapes]
        self.device.set_tiles(None)
        for work in self.works:
            work.call()
            work.expected = np.array(work.out, np.float64)

    def built_in(self) -> Tile:
        """The tile of the first problem, from the constants of its variant."""
        self.device.set_tiles(None)
        variant = dict(
            part.split("=") for part in self.device.explain(self.works[0].problem).variant.split()
        )
        tile = []
        for column in self.table.columns:
            value = int(variant[column])
            tile.append(bool(value) if isinstance(self.table.steps[column][0], bool) else value)
        return tuple(tile)

    def use(self, tile: Tile) -> bool:
        """Makes the device take the tile; false where a problem does not go with it."""
        row = self.table.row(self.device, self.dtype, self.of, tile, "candidate")
        try:
            self.device.set_tiles(f"{self.table.name}\n{row}\n")
        except pymfa.InvalidValue:
            return False
        told = (self.device.explain(work.problem).reason for work in self.works)
        return all(reason.startswith("candidate ") for reason in told)

    def right(self) -> bool:
        """Whether all problems give what they gave: an unsupported variant does nothing."""
        for work in self.works:
            work.out[...] = np.nan
            work.call()
            error = np.abs(work.out.astype(np.float64) - work.expected).max()
            if not error <= 0.02 * np.abs(work.expected).max():
                return False
        return True

    def sample(self, seconds: float) -> float:
        """GFLOP/s over the problems, on the tile that is set."""
        speeds = []
        for work in self.works:
            work.call()
            once = timed(work.call, 1)
            count = max(1, int(seconds / max(once, 1e-6)))
            speeds.append(work.operations / timed(work.call, count) / 1e9)
        return geometric_mean(speeds)

    def speed(self, tile: Tile) -> float:
        if tile not in self.speeds:
            usable = self.use(tile) and self.right()
            self.speeds[tile] = max(self.sample(SAMPLE) for _ in range(2)) if usable else 0.0
        return self.speeds[tile]

    def run(self) -> tuple[Tile, str]:
        """The tile, and why: its speed beside that of the built-in one."""
        start = best = self.built_in()
        while True:
            candidates = sorted(self.table.neighbours(best), key=self.speed, reverse=True)
            better = candidates[0]
            self.say(f"{self.of.reason}: {best} {self.speed(best):.0f} GFLOP/s, "
                     f"beside it {better} {self.speed(better):.0f}")  # fmt: skip
            if self.speed(better) <= WORTH * self.speed(best):
                break
            best = better
        finals = self.alternate(start, best)
        if finals[1] <= WORTH * finals[0]:
            return start, f"{self.of.reason}: {finals[0]:.0f} GFLOP/s, nothing near it is faster"
        return best, f"{self.of.reason}: {finals[1]:.0f} GFLOP/s, before {finals[0]:.0f}"

    def alternate(self, *tiles: Tile) -> list[float]:
        """Medians of alternating rounds."""
        samples: list[list[float]] = [[] for _ in tiles]
        for _ in range(FINAL_ROUNDS):
            for tile, kept in zip(tiles, samples, strict=True):
                self.use(tile)
                settle()
                kept.append(self.sample(2 * SAMPLE))
        return [float(np.median(kept)) for kept in samples]
