# SPDX-License-Identifier: MIT
"""Results -> a CSV of every function, and a table by family with the reasons of refusals."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from .run import Result

_FAILED = ("crashed", "timed out")


def write_csv(path: Path, results: Sequence[Result]) -> None:
    fields = ["family", "name", "status", "reason", "seconds", "cpu_seconds", "code_bytes"]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fields, lineterminator="\n")
        writer.writeheader()
        for result in results:
            row = asdict(result) | {"family": result.family}
            writer.writerow({k: f"{v:.4f}" if isinstance(v, float) else v for k, v in row.items()})


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]


def summary(results: Sequence[Result]) -> str:
    made = [r for r in results if r.status == "compiled"]
    counts = Counter(r.status for r in results)
    parts = [f"{len(made)} of {len(results)} functions compiled ({_percent(made, results)})"]
    parts += [f"{n} {status}" for status, n in counts.items() if status != "compiled"]
    if made:
        cpu = [r.cpu_seconds for r in made]
        parts.append(
            f"processor time per pipeline: median {_ms(percentile(cpu, 0.5))}, "
            f"95th percentile {_ms(percentile(cpu, 0.95))}, most {_ms(max(cpu))}"
        )
    return "; ".join(parts)


def markdown(results: Sequence[Result]) -> str:
    families: dict[str, list[Result]] = {}
    for result in results:
        families.setdefault(result.family, []).append(result)
    lines = [
        summary(results),
        "",
        "| family | functions | compiled | refused | failed | median ms | 95 % ms | code KiB |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for family, group in sorted(families.items()):
        made = [r for r in group if r.status == "compiled"]
        refused = sum(r.status == "refused" for r in group)
        failed = sum(r.status in _FAILED for r in group)
        if made:
            cpu = [r.cpu_seconds * 1e3 for r in made]
            size = percentile([r.code_bytes / 1024 for r in made], 0.5)
            numbers = f"{percentile(cpu, 0.5):.0f} | {percentile(cpu, 0.95):.0f} | {size:.0f}"
        else:
            numbers = " | | "
        lines.append(
            f"| `{family}` | {len(group)} | {len(made)} | {refused or ''} | {failed or ''} "
            f"| {numbers} |"
        )
    lines += _reasons(results)
    return "\n".join(lines) + "\n"


def _reasons(results: Sequence[Result]) -> list[str]:
    """What is counted is the reason without the names and numbers of one function."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        if result.status != "compiled":
            reason = result.reason.replace(result.name, "…")
            reason = re.sub(r"function '…': |^\S+: …: ", "", reason)
            groups.setdefault((result.status, re.sub(r"%[\w.]+", "%…", reason)), []).append(result)
    if not groups:
        return []
    lines = ["", "| | functions | why | for example |", "|---|--:|---|---|"]
    for (status, reason), group in sorted(groups.items(), key=lambda item: -len(item[1])):
        text = " ".join(reason.replace("|", "\\|").split())
        lines.append(f"| {status} | {len(group)} | {text[:300]} | `{group[0].name}` |")
    return lines


def _percent(part: Sequence[Result], whole: Sequence[Result]) -> str:
    return f"{100 * len(part) / len(whole):.2f} %" if whole else "none asked for"


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.0f} ms"
