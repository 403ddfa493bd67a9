# SPDX-License-Identifier: MIT
"""Contenders -> seconds per call, measured in alternating rounds of one process."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

Call = Callable[[], object]


@dataclass
class Case:
    """One row group of a table: the same work done by several contenders."""

    op: str
    label: str
    size: float  # the position on a plot's x axis
    contenders: dict[str, Call]
    work: float = 0.0  # floating-point operations of one call; 0 if time itself is the result
    divisor: int = 1  # how many items one call handles, when the result is time per item
    unit: str = "GFLOP/s"
    error: Callable[[], float] | None = None  # relative error of our result


@dataclass
class Sample:
    """What one contender did in one case."""

    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return median(self.seconds)

    @property
    def best(self) -> float:
        return min(self.seconds)


SETTLE = 0.03  # an idle OpenBLAS pool spins for about 20 ms; nobody is timed against its spinning
SAMPLE = 0.02  # a sample repeats the call until it lasts this long


def timed(call: Call, count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - start) / count


def alternate(case: Case, seconds: float, least: int) -> dict[str, Sample]:
    """Every round times each contender once; the order turns so that nobody always goes first."""
    names = list(case.contenders)
    counts = {}
    for name in names:  # warm up, and find how many calls make a sample
        case.contenders[name]()
        once = timed(case.contenders[name], 1)
        counts[name] = max(1, min(1000, int(SAMPLE / max(once, 1e-9))))
    samples = {name: Sample() for name in names}
    end = time.perf_counter() + seconds
    turn = 0
    while turn < least or time.perf_counter() < end:
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            time.sleep(SETTLE)
            samples[name].seconds.append(timed(case.contenders[name], counts[name]))
        turn += 1
    return samples


def ratio(samples: dict[str, Sample], name: str, baseline: str) -> float:
    """How many times as fast as the baseline: the median over rounds of the paired ratios."""
    pairs = zip(samples[baseline].seconds, samples[name].seconds, strict=True)
    return median(theirs / ours for theirs, ours in pairs)
