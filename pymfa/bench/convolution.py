# SPDX-License-Identifier: MIT
"""3x3 convolutions: Winograd, implicit GEMM and palettized weights beside PyTorch."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import pymfa
from pymfa.bench.gemm import torch_name
from pymfa.bench.operands import (
    bfloat16,
    distance,
    float16,
    float32,
    optional_torch,
    random,
    torch_tensor,
)
from pymfa.bench.rounds import OURS, Call, Case, timed

SHAPES = {64: (64, 64, 128), 320: (320, 320, 64), 640: (640, 640, 32), 1280: (1280, 1280, 16)}
LARGE = (320, 256)  # channels and edge of an image many times the cache
IMPLICIT, PALETTIZED, DENSE = "implicit GEMM", "6-bit palettized", "dense weights"
CACHE = "the device's cache"


def window_3x3(dtype: np.dtype[np.generic], channels: int, *only: str) -> Case:
    """One image with `channels` channels in and out, as large as is usual with so many.

    With `only`, the first contender named against the second: ratios are to that.
    """
    C, K, edge = SHAPES.get(channels, (channels, channels, 32))
    x, out = random((1, edge, edge, C), dtype, 1), random((1, edge, edge, K), dtype, 3)
    w = random((K, 3, 3, C), dtype, 2)
    w *= dtype.type(1 / np.sqrt(9 * C))
    palettized = pymfa.palettize(w, bits=6)
    kept = pymfa.WinogradWeights(w)

    def ours(weights: Any, algorithm: str = "winograd") -> Call:
        return lambda: pymfa.convolution(x, weights, padding=1, algorithm=algorithm, out=out)

    contenders: dict[str, Call] = {
        OURS: ours(w),
        DENSE: ours(w),
        IMPLICIT: ours(w, "direct"),
        PALETTIZED: ours(palettized),
        "kept weights": ours(kept),
    }
    if (torch := optional_torch()) is not None:
        contenders[torch_name(dtype)] = faster_format(torch, x, w)

    if not only:
        del contenders[DENSE]
    else:
        chosen = [contenders[name] for name in only if name in contenders]
        contenders = dict(zip((OURS, *only[1:]), chosen, strict=False))

    def error() -> float:
        ours(w)()
        rows = min(edge, 8)
        padded = np.pad(x[0].astype(np.float64), ((1, 1), (1, 1), (0, 0)))[: rows + 2]
        exact = np.zeros((rows, edge, K))
        for i in range(3):
            for j in range(3):
                exact += padded[i : i + rows, j : j + edge] @ w[:, i, j].astype(np.float64).T
        return distance(out[0, :rows], exact)

    return Case(
        op="convolution",
        label=f"{C}→{K}, {edge}², {dtype.name}",
        size=channels,
        contenders=contenders,
        against=only[-1] if only[1:] and only[-1] in contenders else "",
        rounds=1 if only and only[-1] == torch_name(float16) else 0,  # seconds a call
        work=2.0 * 9 * C * K * edge * edge,
        error=None if only else error,
    )


def grouped(dtype: np.dtype[np.generic], channels: int) -> Case:
    """128 channels of 56² in groups of `channels`; in groups of one, a depthwise convolution."""
    C, edge = 128, 56
    x, out = random((1, edge, edge, C), dtype, 1), random((1, edge, edge, C), dtype, 3)
    w = random((C, 3, 3, channels), dtype, 2)
    groups = C // channels
    contenders: dict[str, Call] = {
        OURS: lambda: pymfa.convolution(x, w, padding=1, groups=groups, out=out)
    }
    if (torch := optional_torch()) is not None:
        contenders[torch_name(dtype)] = faster_format(torch, x, w, groups)

    def error() -> float:
        padded = np.pad(x[0].astype(np.float64), ((1, 1), (1, 1), (0, 0)))
        exact = np.zeros((edge, edge, groups, channels))
        for i in range(3):
            for j in range(3):
                part = padded[i : i + edge, j : j + edge].reshape(edge, edge, groups, channels)
                taps = w[:, i, j].astype(np.float64).reshape(groups, channels, channels)
                exact += np.einsum("yxgc,gkc->yxgk", part, taps)
        return distance(out[0], exact.reshape(edge, edge, C))

    return Case(
        op="groups",
        label=f"{groups} groups of {channels}, {edge}², {dtype.name}",
        size=channels,
        contenders=contenders,
        against=torch_name(dtype) if torch is not None else "",
        work=2.0 * 9 * C * channels * edge * edge,
        error=error,
    )


def faster_format(torch: Any, x: Any, w: Any, groups: int = 1) -> Call:
    """PyTorch's convolution in its default memory format or channels last, whichever is faster."""
    tx, tw = (torch_tensor(torch, np.moveaxis(a, -1, 1)) for a in (x, w))

    def peer(layout: Any, filters: int) -> Call:
        data, weights = (t.contiguous(memory_format=layout) for t in (tx, tw[:filters]))

        def call() -> Any:
            with torch.no_grad():
                return torch.nn.functional.conv2d(data, weights, padding=1, groups=groups)

        return call

    # In 16 bits, where a call takes seconds, a part of the filters tells.
    filters = len(w) if x.dtype == float32 or groups > 1 else max(1, len(w) // 8)

    def seconds(layout: Any) -> float:
        call = peer(layout, filters)
        call()
        return min(timed(call, 1) for _ in range(3))

    layouts = (torch.contiguous_format, torch.channels_last)
    return peer(min(layouts, key=seconds), len(w))


# ---- what is required -----------------------------------------------------------------------


def against(dtype: np.dtype[np.generic], ours: str, theirs: str, least: int = 0) -> Iterator[Case]:
    """Every shape with at least so many channels."""
    for channels in SHAPES:
        if channels >= least:
            yield window_3x3(dtype, channels, ours, theirs)


def memory_of_weights() -> Iterator[Case]:
    """Bytes of 6-bit weights beside those of dense ones."""
    for channels in SHAPES:
        w = random((channels, 3, 3, channels), float16, 2)
        packed = pymfa.palettize(w, bits=6).nbytes
        yield _bytes("weights", f"{channels}→{channels}", packed, "dense float16", w.nbytes)


def workspace() -> Iterator[Case]:
    """What a process takes for 320 channels of 256², beside the device's cache."""
    C, edge = LARGE
    for dtype in (float32, float16):
        code = f"from pymfa.bench import convolution as c; print(*c.taken({dtype.name!r}))"
        done = subprocess.run(
            [sys.executable, "-c", code], text=True, capture_output=True, check=False
        )
        if done.returncode != 0:
            raise pymfa.Failure(f"bench: a process of its own failed:\n{done.stderr}")
        told, grown = (float(n) for n in done.stdout.split())
        label, cache = f"{C}→{C}, {edge}², {dtype.name}", float(pymfa.device().cache_size)
        yield _bytes("workspace", f"{label}, as Commands.workspace tells", told, CACHE, cache)
        yield _bytes("workspace", f"{label}, growth of the process", grown, CACHE, cache)


def taken(name: str) -> tuple[int, int]:
    """Bytes of Commands.workspace, and by how much the most memory this process ever had grows in
    one convolution whose operands exist and whose pipelines a small one has compiled."""
    C, edge = LARGE
    device, dtype = pymfa.device(), np.dtype(name)
    w = random((C, 3, 3, C), dtype, 2)
    small, window = random((1, 32, 32, 64), dtype, 1), random((64, 3, 3, 64), dtype, 2)
    x, out = random((1, edge, edge, C), dtype, 1), random((1, edge, edge, C), dtype, 3)
    # So small that hardly any of its workspace is there to be used again.
    pymfa.convolution(small, window, padding=1, algorithm="winograd")
    # What making the operands took and gave back would hide growth.
    Path("/proc/self/clear_refs").write_text("5")
    before = _most_memory()
    with device.commands() as commands:
        commands.convolution(x, w, padding=1, algorithm="winograd", out=out)
    return commands.workspace, _most_memory() - before


def _most_memory() -> int:
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def _bytes(op: str, label: str, ours: float, against: str, theirs: float) -> Case:
    contenders: dict[str, Call] = {OURS: lambda: ours, against: lambda: theirs}
    return Case(op=op, label=label, size=1, contenders=contenders, against=against, unit="MB",
                returned=True, rounds=1)  # fmt: skip


# ---- how far results are off ----------------------------------------------------------------


def errors() -> str:
    """A table: the relative error of Winograd's algorithm and of direct convolution."""
    lines = ["| channels | type | direct | Winograd | of them the result's rounding |",
             "|---:|---|---:|---:|---:|"]  # fmt: skip
    for C in (32, 128, 512):
        for dtype in (float32, float16, bfloat16):
            x, w = random((1, 24, 24, C), dtype, 1), random((C, 3, 3, C), dtype, 2)
            wide = np.pad(x[0].astype(np.float64), ((1, 1), (1, 1), (0, 0)))
            exact = np.zeros((24, 24, C))
            for i in range(3):
                for j in range(3):
                    exact += wide[i : i + 24, j : j + 24] @ w[:, i, j].astype(np.float64).T
            found = [
                distance(pymfa.convolution(x, w, padding=1, algorithm=algorithm)[0], exact)
                for algorithm in ("direct", "winograd")
            ]
            rounded = distance(exact.astype(dtype), exact)
            numbers = " | ".join(f"{n:.1e}" for n in (*found, rounded))
            lines.append(f"| {C} | {dtype.name} | {numbers} |")
    return "\n".join(lines) + "\n"
