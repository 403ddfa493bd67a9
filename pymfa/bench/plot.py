# SPDX-License-Identifier: MIT
"""Measured rows -> a plot with a panel per operation: speed over size, a line per contender."""

from __future__ import annotations

from pathlib import Path

from pymfa.bench.report import Row, machine
from pymfa.bench.rounds import OURS

COLUMNS = 3  # panels side by side
MANY = 12  # points of a line from which markers only clutter


def draw(path: Path, results: list[Row]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = [row for row in results if row.unit == "GFLOP/s"]
    panels = list(dict.fromkeys((row.op, row.kind) for row in shown))
    if not panels:
        return
    columns = min(COLUMNS, len(panels))
    lines_of_panels = -(-len(panels) // columns)
    figure, axes = pyplot.subplots(
        lines_of_panels, columns, figsize=(5.2 * columns, 4 * lines_of_panels), squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis, (op, kind) in zip(axes.flat, panels, strict=False):
        rows = [row for row in shown if (row.op, row.kind) == (op, kind)]
        for name in sorted({row.contender for row in rows}, key=lambda n: (n != OURS, n)):
            points = sorted((row.size, row.value) for row in rows if row.contender == name)
            xs, ys = zip(*points, strict=True)
            marker = "o" if len(xs) < MANY else ""
            axis.plot(xs, ys, marker=marker, label=name, linewidth=2 if name == OURS else 1)
        axis.set(title=f"{op} {kind}".strip(), xlabel="size", ylabel="GFLOP/s", ylim=(0, None))
        sizes = sorted({row.size for row in rows})
        if len(sizes) < MANY and sizes[0] > 0:
            axis.set_xscale("log", base=2)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8, loc="lower right")
    figure.suptitle(machine(), fontsize=9)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
