# SPDX-License-Identifier: MIT
"""Draws a table of similarities as a heat map."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from .weights import DemoError


def heat_map(path: Path, similarity: NDArray[Any], sentences: Sequence[str]) -> None:
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        raise DemoError("--plot needs: python -m pip install matplotlib") from None
    side = 3 + 0.5 * len(sentences)
    figure, axes = pyplot.subplots(figsize=(side + 3, side), layout="constrained")
    image = axes.imshow(similarity, vmin=0, vmax=1, cmap="viridis")
    labels = [s if len(s) <= 40 else s[:39] + "…" for s in sentences]
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xticks(range(len(labels)), [str(i + 1) for i in range(len(labels))])
    for i, row in enumerate(similarity):
        for j, value in enumerate(row):
            colour = "black" if value > 0.6 else "white"
            axes.text(j, i, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=8)
    figure.colorbar(image, label="cosine similarity")
    figure.savefig(path, dpi=120, bbox_inches="tight")
