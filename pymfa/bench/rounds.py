# SPDX-License-Identifier: MIT
"""Contenders -> seconds per call, measured in alternating rounds of one process.

Imports nothing but the standard library: alone.py runs it in a process without pymfa.

Rounds run A, B, A, B, ... with the order turned by one each time. Before each sample the process
waits until no thread of it burns CPU, because thread pools spin for a while after their last job
and nobody is to be timed against somebody else's spinning. One untimed call then wakes the
contender's own pool, and the timed calls repeat until they last SAMPLE seconds, so that what is
left of waking up weighs as little on one side as on the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

Call = Callable[[], Any]

OURS = "pymfa"
SAMPLE = 0.02  # seconds that a sample lasts at least
LONG = 0.05  # a call of so many seconds hides its own waking up
TEDIOUS = 2.0  # a call of so many seconds is not made twice before the rounds
ENOUGH = 20.0  # after so many seconds a case ends with the round it is in
SLICE = 0.004  # how long the process is watched for threads that spin
PATIENCE = 0.3  # and for how long at most


@dataclass
class Case:
    """One row group of a table: the same work done by several contenders."""

    op: str
    label: str
    size: float  # the position on a plot's x axis
    contenders: dict[str, Call]
    against: str = ""  # the contender that ratios are taken to
    kind: str = ""  # which line of a plot the case belongs to, beside its contender
    work: float = 0.0  # floating-point operations of one call; 0 if time itself is the result
    divisor: int = 1  # how many items one call handles, when the result is time per item
    unit: str = "GFLOP/s"
    returned: bool = False  # a call returns the seconds it measured itself
    elsewhere: frozenset[str] = frozenset()  # contenders that do so, if not all
    rounds: int = 0  # so many, where a call is too expensive for a budget in seconds
    error: Callable[[], float] | None = None  # relative error of our result

    def times_itself(self, name: str) -> bool:
        return self.returned or name in self.elsewhere


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


def settle() -> None:
    """Returns when the process is idle."""
    end = time.perf_counter() + PATIENCE
    while time.perf_counter() < end:
        before = time.process_time()
        time.sleep(SLICE)
        if time.process_time() - before < SLICE / 4:
            return


def timed(call: Call, count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - start) / count


def sample(call: Call, count: int) -> float:
    """Seconds of a call, from so many of them."""
    settle()
    if count > 1:
        call()
    return timed(call, count)


def calls_of(call: Call) -> int:
    """How many calls make a sample. Warms up: what is compiled or allocated once is so here."""
    if timed(call, 1) >= TEDIOUS:
        return 1
    once = timed(call, 1)
    if once >= LONG:
        return 1
    once = min(once, timed(call, 1))
    return max(2, min(2000, int(SAMPLE / max(once, 1e-9))))


def alternate(case: Case, seconds: float, least: int) -> dict[str, Sample]:
    """Every round times each contender once; at least so many rounds and so many seconds, but fewer
    rounds where they last long: some peers take a thousand times as long without AVX-512.
    """
    if case.rounds:
        seconds, least = 0.0, case.rounds
    names = list(case.contenders)
    counts = {n: calls_of(call) for n, call in case.contenders.items() if not case.times_itself(n)}
    samples = {name: Sample() for name in names}
    begun = time.perf_counter()
    end, last = begun + seconds, begun + max(seconds, ENOUGH)
    turn = 0
    while (turn < least or time.perf_counter() < end) and (not turn or time.perf_counter() < last):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            call = case.contenders[name]
            took = sample(call, counts[name]) if name in counts else float(call())
            samples[name].seconds.append(took)
        turn += 1
    return samples


def ratio(samples: dict[str, Sample], name: str, against: str) -> float:
    """How many times as fast as the other: the median over rounds of the paired ratios."""
    pairs = zip(samples[against].seconds, samples[name].seconds, strict=True)
    return median(theirs / ours for theirs, ours in pairs)
