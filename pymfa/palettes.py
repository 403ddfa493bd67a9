# SPDX-License-Identifier: MIT
"""Numbers -> a palette of few values and, for each number, its entry: k-means in one dimension."""

from __future__ import annotations

import numpy as np

from .arrays import Array

_ROUNDS = 200  # at most; the assignment usually stops changing long before
_BINS = 64  # for each entry of the palette


def cluster(values: Array, entries: int) -> tuple[Array, Array]:
    """(entries in ascending order, the number of the nearest entry for each value, as uint8).

    Lloyd's algorithm on the sorted distinct values: clusters are intervals, their sums are
    differences of prefix sums, so a round costs a search for each entry, however many values there
    are. It starts from the quantiles of the values' density to the power 1/3, where the entries of
    an optimal palette lie when there are many (Panter and Dite 1951). With no more distinct values
    than entries every value is met exactly.
    """
    if values.size == 0:
        return np.zeros(entries, values.dtype), np.zeros(values.shape, np.uint8)
    distinct, inverse, counts = np.unique(
        values.astype(np.float32), return_inverse=True, return_counts=True
    )
    inverse = inverse.reshape(values.shape)
    if len(distinct) <= entries:
        palette = np.full(entries, distinct[-1])
        palette[: len(distinct)] = distinct
        return palette.astype(values.dtype), inverse.astype(np.uint8)
    points = _Points(distinct.astype(np.float64), counts)
    # Bins of equal weight follow tails, bins of equal width average better: one of them wins.
    starts = [points.quantiles(edges, entries) for edges in points.edges(_BINS * entries)]
    best = min((points.lloyd(start) for start in starts), key=points.loss)
    # Entries are rounded when they are stored: the nearest one is looked for among those.
    stored = best.astype(values.dtype)
    middles = (stored[1:].astype(np.float64) + stored[:-1].astype(np.float64)) / 2
    return stored, np.searchsorted(middles, points.x).astype(np.uint8)[inverse]


class _Points:
    """Distinct values in ascending order and how often each occurs."""

    def __init__(self, x: Array, counts: Array) -> None:
        self.x = x
        self._sum = np.concatenate([[0.0], np.cumsum(counts * x)])
        self._mass = np.concatenate([[0.0], np.cumsum(counts)])

    def edges(self, bins: int) -> tuple[Array, Array]:
        """Indices of values that part them into bins: of equal weight, and of equal width."""
        last = len(self.x) - 1
        inner = np.arange(1, bins) / bins
        heavy = np.searchsorted(self._mass, inner * self._mass[-1])
        even = np.searchsorted(self.x, self.x[0] + inner * (self.x[-1] - self.x[0]))
        whole = [np.unique(np.clip([0, *found, last], 0, last)) for found in (heavy, even)]
        return whole[0], whole[1]

    def quantiles(self, edges: Array, entries: int) -> Array:
        """Of the cube root of the density that the bins show."""
        position, mass = self.x[edges], np.diff(self._mass[edges])
        roots = np.cbrt(mass * np.square(np.diff(position)))
        cumulated = np.concatenate([[0.0], np.cumsum(roots)])
        wanted = (np.arange(entries) + 0.5) / entries * cumulated[-1]
        found: Array = np.interp(wanted, cumulated, position)
        return found

    def lloyd(self, palette: Array) -> Array:
        cuts = np.zeros(0, np.int64)
        for _ in range(_ROUNDS):
            found = self._cuts(palette)
            if np.array_equal(found, cuts):
                break
            cuts = found
            total, mass = self._clusters(cuts)
            palette = np.where(mass > 0, total / np.maximum(mass, 1), palette)
        return palette

    def loss(self, palette: Array) -> float:
        """The squared error of the palette's clusters, but for a constant."""
        total, mass = self._clusters(self._cuts(palette))
        return -float((np.square(total) / np.maximum(mass, 1)).sum())

    def _cuts(self, palette: Array) -> Array:
        found: Array = np.searchsorted(self.x, (palette[1:] + palette[:-1]) / 2)
        return found

    def _clusters(self, cuts: Array) -> tuple[Array, Array]:
        ends = np.concatenate([[0], cuts, [len(self.x)]])
        return np.diff(self._sum[ends]), np.diff(self._mass[ends])
