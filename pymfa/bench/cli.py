# SPDX-License-Identifier: MIT
"""Arguments of `python -m pymfa bench` -> measured tables on stdout and in files."""

from __future__ import annotations

import argparse
import fnmatch
import os
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import pymfa
from pymfa.bench import convolution, report, targets
from pymfa.bench.ops import OPS
from pymfa.bench.rounds import OURS, Case, alternate
from pymfa.bench.sweeps import SWEEPS

THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "MFA_THREADS")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="pymfa bench",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Time operations against NumPy, and PyTorch where it is installed, in "
        "alternating\nrounds of one process. What counts are the ratios.",
        epilog=f"""what there is to run (patterns such as 'attention*' choose several):
  OP...             {", ".join(OPS)}
  targets [NAME...] {", ".join(r.name for r in targets.REQUIREMENTS)}
  sweep [NAME...]   {", ".join(SWEEPS)}
  errors            of Winograd's algorithm and of direct convolution""",
    )
    made.add_argument("names", nargs="*", metavar="NAME", help="default: every OP")
    made.add_argument("--sizes", help="comma-separated sizes in place of each operation's own")
    made.add_argument("--seconds", type=float, default=1.0, help="per case, at least (default 1)")
    made.add_argument("--rounds", type=int, default=5, help="per case, at least (default 5)")
    made.add_argument("--threads", type=int, help="of every contender (default: what we use)")
    made.add_argument("--csv", type=Path, default=Path("bench.csv"), help="default bench.csv")
    made.add_argument("--markdown", type=Path, help="also write the tables here")
    made.add_argument("--compare", type=Path, metavar="OLD.csv", help="show what regressed since")
    made.add_argument("--plot", type=Path, nargs="?", const=Path("bench.png"), metavar="PNG")
    return made


class Run:
    """Measures cases, says so, and keeps what was measured so far in the CSV."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.rows: list[report.Row] = []
        self.start = time.perf_counter()

    def say(self, text: str) -> None:
        print(f"{time.perf_counter() - self.start:5.0f} s  {text}", file=sys.stderr, flush=True)

    def add(self, measured: Sequence[report.Row]) -> None:
        self.rows += measured
        report.write_csv(self.options.csv, self.rows)

    def measure(self, case: Case) -> list[report.Row]:
        samples = alternate(case, self.options.seconds, self.options.rounds)
        made = report.rows(case, samples)
        for row in made:
            if row.contender == OURS:
                beside = f", {row.ratio:.2f} × {row.against}" if row.ratio else ""
                self.say(f"{row.op} {row.case}: {row.value:.4g} {row.unit}{beside}")
        self.add(made)
        return made


def chosen(names: Sequence[str], known: Iterable[str]) -> list[str]:
    """Those that the patterns name, in their own order; all without patterns."""
    known = list(known)
    for name in names:
        if not fnmatch.filter(known, name):
            parser().error(f"nothing is called {name!r}; choose from {', '.join(known)}")
    return [k for k in known if not names or any(fnmatch.fnmatchcase(k, n) for n in names)]


def same_threads(options: argparse.Namespace, argv: Sequence[str]) -> None:
    """Starts over unless every library was told the number of threads before it was loaded."""
    count = str(options.threads or pymfa.device().workers or os.cpu_count())
    wanted = dict.fromkeys(THREADS, count)
    if {name: os.environ.get(name) for name in THREADS} != wanted:
        command = [sys.executable, "-m", "pymfa", "bench", *argv]
        os.execve(sys.executable, command, os.environ | wanted)


def run_ops(run: Run, names: Sequence[str]) -> str:
    sizes = [int(n) for n in run.options.sizes.split(",")] if run.options.sizes else None
    for name in chosen(names, OPS):
        for n in sizes or OPS[name].sizes:
            for make in OPS[name].cases:
                run.measure(make(n))
    return report.markdown(run.rows)


def run_sweeps(run: Run, names: Sequence[str]) -> str:
    for name in chosen(names, SWEEPS):
        for case in SWEEPS[name]():
            run.measure(case)
    return report.markdown(run.rows)


def run_targets(run: Run, names: Sequence[str]) -> str:
    names = chosen(names, (requirement.name for requirement in targets.REQUIREMENTS))
    outcomes = []
    for requirement in targets.REQUIREMENTS:
        if requirement.name not in names:
            continue
        run.say(f"{requirement.name}: {requirement.what} {requirement.asked_text}")
        made: list[report.Row] = []
        if requirement.needs not in pymfa.device().name:
            run.say(f"not asked of {pymfa.device().name}")
        elif requirement.environment:
            seconds, rounds = run.options.seconds / 2, run.options.rounds
            made = list(targets.elsewhere(requirement, seconds, rounds))
            run.add(made)
        else:
            made = [row for case in requirement.cases() for row in run.measure(case)]
        outcomes.append(targets.Outcome(requirement, made))
    return targets.table(outcomes) + "\n" + report.markdown(run.rows)


def run_errors(run: Run, names: Sequence[str]) -> str:
    chosen(names, ["convolution"])  # so far the only ones
    return convolution.errors()


GROUPS = {"targets": run_targets, "sweep": run_sweeps, "errors": run_errors}


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[2:] if argv is None else argv
    options = parser().parse_args(argv)
    same_threads(options, argv)
    old = report.read_csv(options.compare) if options.compare else None

    run = Run(options)
    group = GROUPS.get(options.names[0] if options.names else "", run_ops)
    table = group(run, options.names if group is run_ops else options.names[1:])
    who = f"{report.machine()}, {os.environ[THREADS[0]]} threads each; {pymfa.device().name}"
    text = f"{who}\n\n{table}"
    regressed = False
    if old is not None:
        found = report.changes(run.rows, old)
        regressed = any(change.regressed for change in found)
        text += f"\nCompared with {options.compare.name}:\n\n{report.comparison(found)}"
    print(text, end="")
    if options.markdown:
        options.markdown.write_text(text)
    if options.plot:
        from pymfa.bench import plot

        plot.draw(options.plot, run.rows)
        run.say(f"wrote {options.plot}")
    run.say(f"wrote {options.csv}")
    return 1 if regressed else 0
