# SPDX-License-Identifier: MIT
"""Measured cases -> CSV, a Markdown table, a comparison with an older CSV, and a plot."""

import csv
import os
import platform
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from pymfa.bench.rounds import Case, Sample, ratio

BASELINE = "numpy"


@dataclass
class Row:
    op: str
    case: str
    size: float
    contender: str
    value: float
    unit: str
    ratio: float  # times as fast as NumPy in the same rounds; 0 where NumPy has no part
    median_s: float
    best_s: float
    rounds: int
    error: float  # ours against float64, relative; 0 where none is defined

    @property
    def key(self) -> tuple[str, str, str]:
        return self.op, self.case, self.contender


def rows(case: Case, samples: dict[str, Sample]) -> list[Row]:
    baseline = next((name for name in samples if name.startswith(BASELINE)), None)
    made = []
    for name, sample in samples.items():
        seconds = sample.median
        if case.work:
            value = case.work / seconds / 1e9
        else:
            value = seconds / case.divisor * (1e3 if case.unit == "ms" else 1e6)
        made.append(
            Row(
                op=case.op,
                case=case.label,
                size=case.size,
                contender=name,
                value=value,
                unit=case.unit,
                ratio=ratio(samples, name, baseline) if baseline else 0.0,
                median_s=seconds,
                best_s=sample.best,
                rounds=len(sample.seconds),
                error=case.error() if case.error and name == "pymfa" else 0.0,
            )
        )
    return made


def machine() -> str:
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        named = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = named[0].split(":", 1)[1].strip() if named else cpu
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cpu}, {cores} CPUs, {platform.system()}, Python {platform.python_version()}"


def write_csv(path: Path, results: list[Row]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
        writer.writeheader()
        for row in results:
            writer.writerow(
                {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in asdict(row).items()}
            )


def read_csv(path: Path) -> dict[tuple[str, str, str], Row]:
    read = {}
    with path.open(newline="") as file:
        for line in csv.DictReader(file):
            row = Row(
                **{f.name: f.type(line[f.name]) for f in fields(Row) if isinstance(f.type, type)}
            )
            read[row.key] = row
    return read


def markdown(results: list[Row]) -> str:
    lines = [
        f"{machine()}",
        "",
        "| operation | case | contender | median | × NumPy | relative error | rounds |",
        "|---|---|---|---:|---:|---:|---:|",
    ]
    for row in results:
        times = f"{row.ratio:.2f}" if row.ratio else ""
        error = f"{row.error:.1e}" if row.error else ""
        value = f"{row.value:.4g} {row.unit}"
        lines.append(
            f"| {row.op} | {row.case} | {row.contender} | {value} | {times} | {error} "
            f"| {row.rounds} |"
        )
    return "\n".join(lines) + "\n"


def comparison(results: list[Row], old: dict[tuple[str, str, str], Row]) -> str:
    """Ours then and now. The ratio to NumPy is compared where there is one: machines differ."""
    lines = [
        "| operation | case | then | now | change |",
        "|---|---|---:|---:|---:|",
    ]
    for row in results:
        before = old.get(row.key)
        if row.contender != "pymfa" or before is None:
            continue
        if row.ratio and before.ratio:
            then, now, unit = before.ratio, row.ratio, "× NumPy"
            change = now / then
        else:
            then, now, unit = before.value, row.value, row.unit
            change = then / now
        lines.append(
            f"| {row.op} | {row.case} | {then:.4g} {unit} | {now:.4g} {unit} | ×{change:.2f} |"
        )
    return "\n".join(lines) + "\n"


def plot(path: Path, results: list[Row]) -> None:
    """One panel per operation that has a speed: GFLOP/s over size, a line per contender."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    ops = list(dict.fromkeys(row.op for row in results if row.unit == "GFLOP/s"))
    if not ops:
        return
    figure, axes = pyplot.subplots(
        1, len(ops), figsize=(5.2 * len(ops), 4.2), squeeze=False, layout="constrained"
    )
    for axis, op in zip(axes[0], ops, strict=True):
        lines: dict[str, list[tuple[float, float]]] = {}
        for row in results:
            if row.op == op:
                kind = row.case.rpartition(" ")[2] if " " in row.case else ""
                lines.setdefault(f"{row.contender} {kind}".strip(), []).append(
                    (row.size, row.value)
                )
        for name, points in lines.items():
            xs, ys = zip(*sorted(points), strict=True)
            axis.plot(xs, ys, marker="o", label=name, linewidth=2 if "pymfa" in name else 1)
        axis.set(title=op, xlabel="size", ylabel="GFLOP/s", xscale="log", ylim=(0, None))
        axis.set_xscale("log", base=2)
        axis.grid(alpha=0.3)
        axis.legend()
    figure.suptitle(machine(), fontsize=9)
    figure.savefig(path, dpi=120)
