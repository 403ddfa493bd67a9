# SPDX-License-Identifier: MIT
"""Attention over long sequences makes nothing of the size of its scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pymfa

ROWS = 32768
ALLOWED = 64 << 20  # the scores alone would be 4 GiB
_STATUS = Path("/proc/self/status")


def peak() -> int:
    """The most bytes that this process has had in memory since the last reset."""
    lines = _STATUS.read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024


def reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


@pytest.mark.skipif(not _STATUS.exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize(
    "options", [{"causal": True}, {"window": (256, 0), "dropout": 0.1}], ids=["causal", "window"]
)
def test_forward_needs_no_square_memory(fast: pymfa.Device, options: dict[str, Any]) -> None:
    q, k, v = (
        np.random.default_rng(i).standard_normal((1, 1, ROWS, 64), np.float32) for i in range(3)
    )
    out = np.zeros_like(q)
    small = (x[:, :, :128] for x in (q, k, v))
    pymfa.attention(*small, device=fast, **options)  # compiles
    reset_peak()
    before = peak()
    pymfa.attention(q, k, v, out=out, device=fast, **options)
    grown = peak() - before
    assert grown < ALLOWED, f"{grown / 2**20:.1f} MiB"
    assert np.isfinite(out).all() and out[0, 0, -1].any()


@pytest.mark.skipif(not _STATUS.exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("options", [{"causal": True}, {}], ids=["causal", "full"])
def test_both_directions_need_no_square_memory(fast: pymfa.Device, options: dict[str, Any]) -> None:
    inputs = [
        np.random.default_rng(i).standard_normal((1, 1, ROWS, 64), np.float32) for i in range(4)
    ]
    outputs = [np.ones_like(inputs[0]) for _ in range(4)]
    lse = np.ones((1, 1, ROWS), np.float32)

    def run(rows: int) -> None:
        q, k, v, do, out, dq, dk, dv = (x[:, :, :rows] for x in (*inputs, *outputs))
        sums = lse[:, :, :rows]
        with fast.commands() as commands:
            commands.attention(q, k, v, out=out, lse=sums, **options)
            commands.attention_backward(do, q, k, v, out, sums, dq=dq, dk=dk, dv=dv, **options)

    run(128)  # compiles
    reset_peak()
    before = peak()
    run(ROWS)
    grown = peak() - before
    assert grown < ALLOWED, f"{grown / 2**20:.1f} MiB"
    assert all(np.isfinite(x).all() and x[0, 0, -1].any() for x in outputs)
