# SPDX-License-Identifier: MIT
"""Draws what demos found: a table of similarities, loss curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from .weights import DemoError


def _pyplot() -> Any:
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        raise DemoError("--plot needs: python -m pip install matplotlib") from None
    return pyplot


def heat_map(path: Path, similarity: NDArray[Any], sentences: Sequence[str]) -> None:
    pyplot = _pyplot()
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


def loss_curves(path: Path, curves: Mapping[str, Sequence[float]]) -> None:
    """Losses over steps, and below it the difference between the first two."""
    pyplot = _pyplot()
    figure, (above, below) = pyplot.subplots(
        2, figsize=(8, 6), sharex=True, height_ratios=(3, 1), layout="constrained"
    )
    for (name, losses), style in zip(curves.items(), ("-", "--"), strict=False):
        above.plot(range(1, len(losses) + 1), losses, style, label=name)
    above.set_ylabel("loss, nats per character")
    above.legend()
    first, second = list(curves.values())[:2]
    below.plot(range(1, len(first) + 1), [a - b for a, b in zip(first, second, strict=True)], "k-")
    below.set_ylabel(" - ".join(list(curves)[:2]))
    below.set_xlabel("step")
    figure.savefig(path, dpi=120)
