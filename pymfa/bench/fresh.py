# SPDX-License-Identifier: MIT
"""Times that only a new process can show: starting, compiling, and finding what is on disk."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from statistics import median

import pymfa
from pymfa.bench.operands import bfloat16, float16, float32
from pymfa.bench.rounds import OURS, Case

FIRST_RESULT = """
import time
start = time.perf_counter()
import numpy as np, pymfa
x = np.ones((64, 64), np.float16)
assert pymfa.hgemm(x, x)[0, 0] == 64
print(time.perf_counter() - start)
"""


def call(name: str, *arguments: object) -> str:
    """Python that calls a function of this module and prints what it returns."""
    return f"from pymfa.bench import fresh; print(fresh.{name}(*{arguments!r}))"


def seconds(code: str, cache: str) -> float:
    """What the code prints, in a new process with this cache of compiled kernels."""
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"MFA_CACHE": cache}, text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise pymfa.Failure(f"bench: a process of its own failed:\n{done.stderr}")
    return float(done.stdout)


# ---- what runs in the new process -----------------------------------------------------------


def variants() -> list[pymfa.Problem]:
    """32 problems that need 32 different pipelines."""
    products = [
        pymfa.GemmDesc(m, 1024, 1024, dtype, trans_a=trans_a, trans_b=trans_b)
        for dtype in (float16, float32, bfloat16)
        for m in (32, 1024)
        for trans_a in (False, True)
        for trans_b in (False, True)
    ]
    attention = [
        pymfa.AttentionDesc(1024, 1024, width, dtype=dtype, causal=causal)
        for dtype in (float16, float32)
        for width in (64, 128)
        for causal in (False, True)
    ]
    return [*products, *attention]


def prepare(together: bool) -> float:
    """Seconds to make the pipelines, at once or one after the other."""
    device = pymfa.device()
    start = time.perf_counter()
    if together:
        device.prepare(variants())
    else:
        for problem in variants():
            device.prepare([problem])
    return time.perf_counter() - start


def cold(kind: str) -> float:
    """The median of the seconds that a pipeline of this kind takes, the library being open."""
    device = pymfa.device()
    device.prepare([pymfa.CastDesc(4096, float32, float16)])
    taken = []
    for problem in variants():
        if isinstance(problem, pymfa.AttentionDesc) == (kind == "attention"):
            start = time.perf_counter()
            device.prepare([problem])
            taken.append(time.perf_counter() - start)
    return median(taken)


# ---- cases ----------------------------------------------------------------------------------


def _case(op: str, label: str, ours: Callable[[], float], rounds: int) -> Case:
    return Case(
        op=op,
        label=label,
        size=1,
        contenders={OURS: ours},
        unit="ms",
        returned=True,
        rounds=rounds,
    )


def _empty_cache(code: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        return seconds(code, folder)


def together() -> Iterator[Case]:
    case = _case("prepare", "32 variants", lambda: _empty_cache(call("prepare", True)), 3)
    case.contenders["one after the other"] = lambda: _empty_cache(call("prepare", False))
    case.against = "one after the other"
    yield case


def warm() -> Iterator[Case]:
    with tempfile.TemporaryDirectory() as folder:
        code = call("prepare", True)
        seconds(code, folder)
        case = _case("disk cache", "32 variants", lambda: seconds(code, folder), 3)
        case.contenders["empty cache"] = lambda: _empty_cache(code)
        case.against = "empty cache"
        yield case


def first_result() -> Iterator[Case]:
    with tempfile.TemporaryDirectory() as folder:
        seconds(FIRST_RESULT, folder)
        yield _case("first result", "import, hgemm 64³", lambda: seconds(FIRST_RESULT, folder), 9)


def pipelines(kind: str) -> Iterator[Case]:
    yield _case("pipeline", f"cold {kind}", lambda: seconds(call("cold", kind), "off"), 3)
