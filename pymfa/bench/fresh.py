# SPDX-License-Identifier: MIT
"""Times that only a new process can show: starting, compiling, and finding what is on disk."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import numpy as np

import pymfa
from pymfa.bench.operands import bfloat16, float16, float32
from pymfa.bench.rounds import OURS, Case
from pymfa.demo.config import Config
from pymfa.demo.minilm import MiniLM, compile_steps, problems
from pymfa.demo.tokens import Batch

# all-MiniLM-L6-v2's sizes; and batches of it that need every pipeline it ever needs.
NETWORK = Config(layers=6, heads=12, width=384, inner=1536, epsilon=1e-12)
SENTENCES, TOKENS = (1, 8, 64), range(1, 257)
BATCH = (8, 13)

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


def network() -> list[pymfa.Problem]:
    """One problem for each pipeline of pymfa that MiniLM needs for batches of any size."""
    device = pymfa.device()
    found: dict[str, pymfa.Problem] = {}
    for sentences in SENTENCES:
        for tokens in TOKENS:
            for problem in problems(NETWORK, sentences, tokens):
                found.setdefault(device.explain(problem).variant, problem)
    return list(found.values())


def prepare(together: bool, of: str = "variants") -> float:
    """Seconds to make the pipelines, at once or one after the other."""
    device = pymfa.device()
    needed = network() if of == "network" else variants()
    start = time.perf_counter()
    if together:
        device.prepare(needed)
    else:
        for problem in needed:
            device.prepare([problem])
    return time.perf_counter() - start


def record(path: str) -> float:
    """Saves what MiniLM uses; its weights do not matter."""
    width, inner = NETWORK.width, NETWORK.inner
    weights: dict[str, np.ndarray] = {}
    for name in ("word", "position", "token_type"):
        weights[f"embeddings.{name}_embeddings.weight"] = np.ones((TOKENS[-1], width), np.float32)
    norms = ["embeddings.LayerNorm"]
    linear: dict[str, tuple[int, int]] = {}
    for i in range(NETWORK.layers):
        layer = f"encoder.layer.{i}."
        norms += [layer + "attention.output.LayerNorm", layer + "output.LayerNorm"]
        linear |= {f"{layer}attention.self.{x}": (width, width) for x in ("query", "key", "value")}
        linear[layer + "attention.output.dense"] = (width, width)
        linear[layer + "intermediate.dense"] = (inner, width)
        linear[layer + "output.dense"] = (width, inner)
    for name, shape in {**dict.fromkeys(norms, (width,)), **linear}.items():
        weights[name + ".weight"] = np.ones(shape, np.float32)
        weights[name + ".bias"] = np.ones(shape[0], np.float32)
    model = MiniLM(pymfa.device(), NETWORK, weights)
    batch = Batch(np.zeros(BATCH, np.uint32), np.ones(BATCH, np.bool_))
    pymfa.record(model.embed, batch).save(path)
    return 0


def start(path: str) -> float:
    """Seconds until MiniLM has its pipelines: the device, its own kernels, what was recorded."""
    begin = time.perf_counter()
    device = pymfa.device()
    compile_steps(device)
    device.prepare(pymfa.Recording.load(path))
    return time.perf_counter() - begin


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


def together(of: str, label: str) -> Iterator[Case]:
    case = _case("prepare", label, lambda: _empty_cache(call("prepare", True, of)), 5)
    case.contenders["one after the other"] = lambda: _empty_cache(call("prepare", False, of))
    case.against = "one after the other"
    yield case


def _warm(op: str, label: str, code: str, rounds: int) -> Iterator[Case]:
    with tempfile.TemporaryDirectory() as folder:
        seconds(code, folder)
        case = _case(op, label, lambda: seconds(code, folder), rounds)
        case.contenders["empty cache"] = lambda: _empty_cache(code)
        case.against = "empty cache"
        yield case


def warm() -> Iterator[Case]:
    yield from _warm("disk cache", "32 variants", call("prepare", True), 3)


def recorded() -> Iterator[Case]:
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "recording.json")
        seconds(call("record", path), "off")
        yield from _warm("start-up", "MiniLM, recorded", call("start", path), 5)


def first_result() -> Iterator[Case]:
    with tempfile.TemporaryDirectory() as folder:
        seconds(FIRST_RESULT, folder)
        yield _case("first result", "import, hgemm 64³", lambda: seconds(FIRST_RESULT, folder), 9)


def pipelines(kind: str) -> Iterator[Case]:
    yield _case("pipeline", f"cold {kind}", lambda: seconds(call("cold", kind), "off"), 3)
