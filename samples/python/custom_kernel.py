# SPDX-License-Identifier: MIT
"""Rows -> a matrix product, a kernel of one's own, a matrix product: in one command buffer."""

from pathlib import Path

import numpy as np
from sample import fill

import pymfa

ROWS, WIDTH = 32, 128

device = pymfa.device()
source = (Path(__file__).parents[1] / "metal/rms_norm.metal").read_text()
rms_norm = device.library(source=source).pipeline("rms_norm", {"given_epsilon": 1e-6})

x = fill((ROWS, WIDTH), 1, 1, np.float16)
w = [fill((WIDTH, WIDTH), 2 + i, 0.25, np.float16) for i in range(2)]
a, b = (device.empty((ROWS, WIDTH), np.float16) for _ in range(2))
y = device.empty((ROWS, WIDTH), np.float32)

with device.commands() as commands:
    c = commands.hgemm(x, w[0], trans_b=True)
    commands.dispatch(
        rms_norm,
        buffers={0: c, 1: a, 2: np.uint32(WIDTH)},  # arrays, and values to copy
        threadgroups=ROWS,
        threads_per_threadgroup=32,
    )
    commands.hgemm(a, w[1], trans_b=True, out=b)
    commands.cast(b, out=y)

squares = np.square(a.astype(np.float32)).mean(axis=1)
print(f"mean squares of the rows: {squares.min():.3f} to {squares.max():.3f}")
print(f"result {int(y.view(np.uint32).sum(dtype=np.uint32)):08x}")
