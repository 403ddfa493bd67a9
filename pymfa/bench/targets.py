# SPDX-License-Identifier: MIT
"""What the project holds itself to -> each requirement measured, and a table of asked and measured.

A requirement is the geometric mean over its cases, or the worst of them: of how many times as fast
we are as the other side, of our time as a part of the other's, or of our time itself.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pymfa
from pymfa.bench import (
    attention,
    convolution,
    decoding,
    fresh,
    gemm,
    qgemm,
    report,
    skipping,
    small,
    steel,
    training,
)
from pymfa.bench.gemm import NUMPY, torch_name
from pymfa.bench.operands import bfloat16, float16, float32, geometric_mean
from pymfa.bench.report import Row
from pymfa.bench.rounds import OURS, Case

SPEED = "×"  # times as fast as the other side: at least so many
PART = "of the time"  # of the other side: at most so much
MEMORY = "of the memory"  # likewise
# Anything else is a unit that our own time is given in: at most so much.


@dataclass(frozen=True)
class Requirement:
    name: str
    what: str
    sizes: str
    against: str
    asked: float
    unit: str
    cases: Callable[[], Iterable[Case]]
    environment: tuple[tuple[str, str], ...] = ()  # measured in a process that has these set
    measured_as: str = ""  # there, under this name
    every: bool = False  # case has to meet it, not their mean
    needs: str = ""  # what the device's name says of a CPU that it is asked of

    def value(self, row: Row) -> float:
        """What the row says; 0 where the other side is missing."""
        if self.unit == SPEED:
            return row.ratio
        if self.unit in (PART, MEMORY):
            return 1 / row.ratio if row.ratio else 0.0
        return row.value

    def met(self, value: float) -> bool:
        return value >= self.asked if self.unit == SPEED else value <= self.asked

    def spell(self, value: float) -> str:
        if self.unit in (SPEED, PART, MEMORY):
            return f"{value:.2f}{' ×' if self.unit == SPEED else ''}"
        return f"{value:.3g} {self.unit.split()[0]}"

    @property
    def asked_text(self) -> str:
        return f"{'≥' if self.unit == SPEED else '≤'} {self.spell(self.asked)}"


SHAPES = "256³ … 2048³, 4096×384×384, 128×1536×384; nn nt tn tt"
HEADS = ", ".join("×".join(map(str, shape)) for shape in attention.REQUIRED)
TRAINED = ", ".join("×".join(map(str, shape)) for shape in training.REQUIRED)
CHANNELS = ", ".join(f"{C}→{K}, {edge}²" for C, K, edge in convolution.SHAPES.values())
AVX2 = (("MFA_CPU", "haswell"), ("OPENBLAS_CORETYPE", "Haswell"))


def _gemm(name: str, peer: str, asked: float, needs: str = "") -> Requirement:
    return Requirement(
        name, f"`{name}`", SHAPES, peer, asked, SPEED, partial(gemm.required, name, peer),
        needs=needs,
    )  # fmt: skip


def _attention(name: str, dtype: object, asked: float) -> Requirement:
    return Requirement(
        name, f"`attention` {dtype}", HEADS, torch_name(dtype), asked, SPEED,
        partial(attention.required, dtype),
    )  # fmt: skip


REQUIREMENTS = (
    _gemm("sgemm", NUMPY, 0.95),
    _gemm("hgemm", NUMPY, 0.95),
    _gemm("bgemm", torch_name(bfloat16), 0.85, needs="bf16"),
    _attention("attention-fp32", float32, 1.0),
    _attention("attention-fp16", float16, 1.6),
    Requirement("training", "`attention` and its gradients, float32", TRAINED, torch_name(float32),
                0.9, SPEED, training.required),
    Requirement("training-alone", "`attention` and its gradients, float32", TRAINED,
                "PyTorch in a process of its own", 0.9, SPEED, training.beside_alone),
    Requirement("qgemm-row", "`qgemm`, 4 bits, one row", f"1×{qgemm.N}×{qgemm.K}, nt nn",
                "our `sgemm`", 2.5, SPEED, partial(qgemm.required, 1, qgemm.SGEMM)),
    Requirement("qgemm-rows", "`qgemm`, 4 bits, 512 rows", f"512×{qgemm.N}×{qgemm.K}, nt nn",
                "our `hgemm`", 0.75, SPEED, partial(qgemm.required, 512, qgemm.HGEMM)),
    Requirement("winograd-fp32", "Winograd `convolution` float32", CHANNELS, torch_name(float32),
                1.4, SPEED, partial(convolution.against, float32, OURS, torch_name(float32)),
                every=True),
    Requirement("winograd-fp16", "Winograd `convolution` float16", CHANNELS, torch_name(float16),
                6.0, SPEED, partial(convolution.against, float16, OURS, torch_name(float16)),
                every=True),
    Requirement("winograd-implicit", "Winograd `convolution` float32", "C = K ≥ 320",
                "our implicit GEMM", 1.8, SPEED,
                partial(convolution.against, float32, OURS, convolution.IMPLICIT, 320),
                every=True),
    Requirement("winograd-palette", "Winograd, 6-bit palettized", CHANNELS, "dense float16", 1.15,
                PART, partial(convolution.against, float16, convolution.PALETTIZED,
                              convolution.DENSE), every=True),
    Requirement("palette-memory", "6-bit palettized weights", CHANNELS, "dense float16", 0.5,
                MEMORY, convolution.memory_of_weights, every=True),
    Requirement("winograd-workspace", "workspace of Winograd's blocks", "1×320×320×256²",
                convolution.CACHE, 2.0, MEMORY, convolution.workspace),
    Requirement("causal", "causal `attention`", "×".join(map(str, attention.CAUSAL)),
                "without a mask", 0.58, PART, attention.causal),
    Requirement("sparse", "`attention`, half of a mask's blocks empty",
                "×".join(map(str, skipping.SPARSE)), "no mask", 0.6, PART, skipping.sparse),
    Requirement("window", f"`attention`, window of {skipping.WINDOW}",
                "×".join(map(str, skipping.WINDOWED)), "all keys", 0.12, PART, skipping.window),
    Requirement("decode", "`attention_decode` FP32, bytes of the cache a second",
                f"{decoding.HEADS}×{decoding.KEYS}×{decoding.WIDTH}", "reading them with NumPy",
                0.7, SPEED, decoding.bandwidth),
    Requirement("steel-gemm", "ours and Apple-compiled `steel_gemm`", f"{steel.N}³, nn nt",
                "mlx-metal", 1.0, SPEED, steel.products),
    Requirement("steel-attention", "ours and Apple-compiled `steel_attention`",
                "×".join(map(str, steel.SHAPE)), "mlx-metal", 1.0, SPEED, steel.attentions),
    Requirement("casts", f"{small.CASTS} casts in one command buffer", f"{small.ELEMENTS} elements",
                "a command buffer each", 8.0, SPEED, small.casts),
    Requirement("dispatch", "host cost of a dispatch", f"{small.DISPATCHES} in a command buffer",
                "–", 3.0, "µs each", small.dispatches),
    Requirement("prepare", "`prepare`, new process, empty cache", "32 variants",
                "one after the other", 1.8, SPEED,
                partial(fresh.together, "variants", "32 variants")),
    Requirement("prepare-network", "`prepare`, new process, empty cache", "all of MiniLM's",
                "one after the other", 1.8, SPEED, partial(fresh.together, "network", "MiniLM")),
    Requirement("disk-cache", "`prepare`, new process, full cache", "32 variants", "empty cache",
                20.0, SPEED, fresh.warm),
    Requirement("start-up", "MiniLM ready, with recorded descriptors and full cache", "8×13 tokens",
                "empty cache", 10.0, SPEED, fresh.recorded),
    Requirement("first-result", "`import pymfa` and a first result, full cache", "hgemm 64³", "–",
                250.0, "ms", fresh.first_result),
    Requirement("cold-gemm", "cold pipeline, GEMM", "24 variants", "–", 60.0, "ms",
                partial(fresh.pipelines, "GEMM")),
    Requirement("cold-attention", "cold pipeline, attention", "8 variants", "–", 150.0, "ms",
                partial(fresh.pipelines, "attention")),
    Requirement("avx2", "`sgemm` with AVX2 only", SHAPES, "NumPy with the same", 0.85, SPEED,
                tuple, environment=AVX2, measured_as="sgemm"),
    Requirement("avx2-half", "`hgemm` with AVX2 only", SHAPES, "NumPy FP32 with the same", 0.85,
                SPEED, tuple, environment=AVX2, measured_as="hgemm"),
)  # fmt: skip


def elsewhere(requirement: Requirement, seconds: float, least: int) -> Iterator[Row]:
    """The rows of a requirement that needs a process with another environment."""
    if dict(requirement.environment).get("MFA_CPU") and platform.machine() != "x86_64":
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        command = [sys.executable, "-m", "pymfa", "bench", "targets", requirement.measured_as]
        command += ["--csv", str(path), "--seconds", str(seconds), "--rounds", str(least)]
        done = subprocess.run(
            command, env=os.environ | dict(requirement.environment), stdout=subprocess.DEVNULL,
            check=False,
        )  # fmt: skip
        if done.returncode not in (0, 1):
            raise pymfa.Failure(f"bench: {' '.join(command)} failed")
        for row in report.read_csv(path).values():
            row.op = requirement.name
            yield row


@dataclass
class Outcome:
    requirement: Requirement
    rows: list[Row]

    @property
    def values(self) -> dict[str, float]:
        """By case."""
        ours = (row for row in self.rows if row.contender == OURS)
        return {row.case: value for row in ours if (value := self.requirement.value(row))}

    @property
    def measured(self) -> float:
        if not self.values:
            return 0.0
        return self.worst[1] if self.requirement.every else geometric_mean(self.values.values())

    @property
    def worst(self) -> tuple[str, float]:
        choose = min if self.requirement.unit == SPEED else max
        return choose(self.values.items(), key=lambda item: item[1])


def table(outcomes: list[Outcome]) -> str:
    lines = [
        "| what | sizes | against | asked | measured | | worst case |",
        "|---|---|---|---:|---:|---|---|",
    ]
    for outcome in outcomes:
        wanted = outcome.requirement
        start = f"| {wanted.what} | {wanted.sizes} | {wanted.against} | {wanted.asked_text} |"
        if wanted.needs not in pymfa.device().name:
            lines.append(f"{start} not asked of a CPU without {wanted.needs} | | |")
            continue
        if not outcome.values:
            lines.append(f"{start} not measured: the other side is missing | | |")
            continue
        case, value = outcome.worst
        worst = f"{wanted.spell(value)} ({case})" if len(outcome.values) > 1 else ""
        if wanted.every and worst:
            worst = f"judged by it: {worst}"
        verdict = "met" if wanted.met(outcome.measured) else "**missed**"
        lines.append(f"{start} {wanted.spell(outcome.measured)} | {verdict} | {worst} |")
    return "\n".join(lines) + "\n"
