# SPDX-License-Identifier: MIT
"""Measured cases -> rows, as CSV and Markdown, and compared with an older CSV."""

from __future__ import annotations

import csv
import os
import platform
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from pymfa.bench.operands import geometric_mean
from pymfa.bench.rounds import OURS, Case, Sample, ratio

UNITS = {"ms": 1e3, "MB": 1e-6}  # of what a case returns, seconds or bytes; else µs
NOISE = 0.05  # a ratio that fell by more than this has regressed


@dataclass
class Row:
    op: str
    case: str
    kind: str  # which line of a plot, beside the contender
    size: float
    contender: str
    value: float
    unit: str
    against: str
    ratio: float  # times as fast as `against` in the same rounds; 0 where there is nobody
    median_s: float
    best_s: float
    rounds: int
    error: float  # ours, relative; 0 where none is defined

    @property
    def key(self) -> tuple[str, str, str]:
        return self.op, self.case, self.contender


def rows(case: Case, samples: dict[str, Sample]) -> list[Row]:
    made = []
    for name, sample in samples.items():
        seconds = sample.median
        if case.work:
            value = case.work / seconds / 1e9
        else:
            value = seconds / case.divisor * UNITS.get(case.unit, 1e6)
        made.append(
            Row(
                op=case.op,
                case=case.label,
                kind=case.kind,
                size=case.size,
                contender=name,
                value=value,
                unit=case.unit,
                against=case.against,
                ratio=ratio(samples, name, case.against) if case.against else 0.0,
                median_s=seconds,
                best_s=sample.best,
                rounds=len(sample.seconds),
                error=case.error() if case.error and name == OURS else 0.0,
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
    """Rows by their key. A CSV of an older version lacks columns, which are then empty."""
    types = {"float": float, "int": int, "str": str}
    read = {}
    with path.open(newline="") as file:
        for line in csv.DictReader(file):
            text = ((f.name, types[str(f.type)], line.get(f.name)) for f in fields(Row))
            row = Row(**{name: kind(value) if value else kind() for name, kind, value in text})
            read[row.key] = row
    return read


def markdown(results: list[Row]) -> str:
    lines = [
        "| operation | case | contender | median | × | as fast as | relative error | rounds |",
        "|---|---|---|---:|---:|---|---:|---:|",
    ]
    for row in results:
        times = f"{row.ratio:.2f}" if row.ratio else ""
        error = f"{row.error:.1e}" if row.error else ""
        value = f"{row.value:.4g} {row.unit}"
        lines.append(
            f"| {row.op} | {row.case} | {row.contender} | {value} | {times} | {row.against} "
            f"| {error} | {row.rounds} |"
        )
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Change:
    """Ours then and now: ratios where both have one, because machines differ, else times."""

    row: Row
    then: float
    now: float
    unit: str
    factor: float  # above 1: better

    @property
    def regressed(self) -> bool:
        return self.factor < 1 - NOISE


def changes(results: list[Row], old: dict[tuple[str, str, str], Row]) -> list[Change]:
    found = []
    for row in results:
        before = old.get(row.key)
        if row.contender != OURS or before is None:
            continue
        if row.ratio and before.ratio and row.against == before.against:
            unit = f"× {row.against}"
            found.append(Change(row, before.ratio, row.ratio, unit, row.ratio / before.ratio))
        else:
            factor = row.value / before.value if row.unit == "GFLOP/s" else before.value / row.value
            found.append(Change(row, before.value, row.value, row.unit, factor))
    return found


def comparison(found: list[Change]) -> str:
    """The worst first; below it, each operation as a whole."""
    lines = ["| operation | case | then | now | change | |", "|---|---|---:|---:|---:|---|"]
    for change in sorted(found, key=lambda c: c.factor):
        verdict = "**regressed**" if change.regressed else ""
        lines.append(
            f"| {change.row.op} | {change.row.case} | {change.then:.4g} {change.unit} "
            f"| {change.now:.4g} {change.unit} | ×{change.factor:.2f} | {verdict} |"
        )
    for op in dict.fromkeys(change.row.op for change in found):
        mean = geometric_mean(change.factor for change in found if change.row.op == op)
        lines.append(f"| {op} | all of it | | | ×{mean:.2f} | |")
    return "\n".join(lines) + "\n"
