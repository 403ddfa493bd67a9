# SPDX-License-Identifier: MIT
"""Arguments of `python -m pymfa conformance` -> a run over a metallib, its table and its CSV."""

from __future__ import annotations

import argparse
import fnmatch
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ..errors import Error
from ..hardware import device
from . import report
from .families import family_of, sample
from .run import Result, Settings, run


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="pymfa conformance",
        description="Makes a pipeline of every function of a metallib in worker processes, and "
        "writes what became of them by family. Exit status 1 if a function crashed the compiler "
        "or ran into the time limit.",
    )
    made.add_argument("file", type=Path, help="the metallib")
    made.add_argument("--sample", type=int, metavar="N", help="N functions of all families, fixed")
    made.add_argument("--family", metavar="PATTERN", help='only these, such as "steel_*"')
    made.add_argument("--match", metavar="PATTERN", help='only functions such as "*float16*"')
    made.add_argument("--families", action="store_true", help="only list the families")
    made.add_argument("--constants", type=Path, metavar="TOML",
                      help="more values for function constants; see constants.toml")  # fmt: skip
    made.add_argument("--device", help="the device that compiles (default: cpu)")
    made.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0))
                      if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)  # fmt: skip
    made.add_argument("--timeout", type=float, default=120, help="seconds per function (120)")
    made.add_argument("--cache", action="store_true", help="let pipelines come from the disk")
    made.add_argument("--csv", type=Path, default=Path("conformance.csv"))
    made.add_argument("--markdown", type=Path, help="also write the table here")
    made.add_argument("--slow", type=float, metavar="MS", help="also list what takes longer")
    made.add_argument("--quiet", action="store_true", help="no progress, only the summary line")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        return _main(options)
    except (Error, OSError) as error:
        print(f"conformance: {error}", file=sys.stderr)
        return 2


def _main(options: argparse.Namespace) -> int:
    names: list[str] = list(device(options.device).library(options.file).functions)
    if options.family:
        names = [n for n in names if fnmatch.fnmatchcase(family_of(n), options.family)]
    if options.match:
        names = [n for n in names if fnmatch.fnmatchcase(n, options.match)]
    if options.families:
        for family, count in sorted(Counter(map(family_of, names)).items()):
            print(f"{count:6} {family}")
        return 0
    if options.sample is not None:
        names = sample(names, options.sample)
    if not names:
        print("conformance: no function is asked for", file=sys.stderr)
        return 2
    settings = Settings(
        options.file, options.device, options.constants, options.cache, options.workers,
        options.timeout,
    )  # fmt: skip
    progress = _Progress(len(names), show=not options.quiet)
    results = run(names, settings, progress)
    progress.end()
    report.write_csv(options.csv, results)
    table = report.markdown(results)
    print(report.summary(results) if options.quiet else table, end="\n" if options.quiet else "")
    if options.markdown:
        options.markdown.write_text(table, encoding="utf-8")
    if options.slow is not None:
        for result in sorted(results, key=lambda r: -r.cpu_seconds):
            if result.cpu_seconds * 1e3 > options.slow:
                print(f"{result.cpu_seconds * 1e3:8.0f} ms  {result.name}")
    print(f"wrote {options.csv}", file=sys.stderr)
    return int(any(r.status in ("crashed", "timed out") for r in results))


class _Progress:
    """A bar on a terminal; elsewhere only the lines of what went wrong."""

    def __init__(self, total: int, show: bool) -> None:
        self.total, self.show = total, show
        self.bar = show and sys.stderr.isatty()
        self.done = self.wrong = 0
        self.start = self.drawn = time.monotonic()

    def __call__(self, result: Result) -> None:
        self.done += 1
        if result.status != "compiled":
            self.wrong += 1
            if self.show:
                self._clear()
                reason = " ".join(result.reason.split())[:200]
                print(f"{result.status}: {result.name}: {reason}", file=sys.stderr)
        now = time.monotonic()
        if self.bar and (now - self.drawn > 0.1 or self.done == self.total):
            self.drawn = now
            filled = 30 * self.done // self.total
            left = (now - self.start) / self.done * (self.total - self.done)
            print(
                f"\r[{'#' * filled}{'.' * (30 - filled)}] {self.done}/{self.total}, "
                f"{self.wrong} not compiled, {left:.0f} s left   ",
                end="", file=sys.stderr, flush=True,
            )  # fmt: skip

    def end(self) -> None:
        self._clear()

    def _clear(self) -> None:
        if self.bar:
            print("\r" + " " * 79 + "\r", end="", file=sys.stderr)
