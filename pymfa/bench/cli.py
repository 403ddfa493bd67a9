# SPDX-License-Identifier: MIT
"""Arguments of `python -m pymfa bench` -> measured tables on stdout and in files."""

import argparse
import sys
from pathlib import Path

from pymfa.bench import report
from pymfa.bench.ops import OPS
from pymfa.bench.rounds import alternate


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="pymfa bench",
        description="Time operations against NumPy, and PyTorch where it is installed, in "
        "alternating rounds of one process. What counts are the ratios.",
    )
    made.add_argument("ops", nargs="*", metavar="OP", help=f"of {', '.join(OPS)} (default: all)")
    made.add_argument("--sizes", help="comma-separated sizes in place of each operation's own")
    made.add_argument("--seconds", type=float, default=3.0, help="per case (default 3)")
    made.add_argument("--rounds", type=int, default=5, help="at least so many (default 5)")
    made.add_argument("--csv", type=Path, default=Path("bench.csv"), help="default bench.csv")
    made.add_argument("--markdown", type=Path, help="also write the table here")
    made.add_argument("--compare", type=Path, metavar="OLD.csv", help="compare with an older CSV")
    made.add_argument("--plot", type=Path, nargs="?", const=Path("bench.png"), metavar="PNG")
    return made


def main(argv: list[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    unknown = [op for op in arguments.ops if op not in OPS]
    if unknown:
        parser().error(f"no operation is called {unknown[0]!r}; choose from {', '.join(OPS)}")
    sizes = [int(n) for n in arguments.sizes.split(",")] if arguments.sizes else None
    old = report.read_csv(arguments.compare) if arguments.compare else None

    results: list[report.Row] = []
    for op in arguments.ops or OPS:
        made = (make(n) for n in sizes or OPS[op].sizes for make in OPS[op].cases)
        for case in made:
            print(f"{case.op} {case.label}: {', '.join(case.contenders)}", file=sys.stderr)
            samples = alternate(case, arguments.seconds, arguments.rounds)
            results += report.rows(case, samples)
            report.write_csv(arguments.csv, results)  # what is measured survives an interrupt
    table = report.markdown(results)
    if old is not None:
        table += "\nCompared with " + arguments.compare.name + ":\n\n"
        table += report.comparison(results, old)
    print(table)
    if arguments.markdown:
        arguments.markdown.write_text(table)
    if arguments.plot:
        report.plot(arguments.plot, results)
        print(f"wrote {arguments.plot}", file=sys.stderr)
    print(f"wrote {arguments.csv}", file=sys.stderr)
    return 0
