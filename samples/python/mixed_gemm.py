# SPDX-License-Identifier: MIT
"""FP32 rows -> a perceptron of three layers that multiplies in FP16 -> FP32 rows.

One command buffer: casts, matrix products with activations, a cast.
"""

import sys
from typing import Any

import numpy as np
from sample import compare, fill

import pymfa

ROWS, WIDTH, LAYERS = 32, 128, 3

device = pymfa.device()
x = fill((ROWS, WIDTH), 1, 1)
w = [fill((WIDTH, WIDTH), 2 + i, 0.25) for i in range(LAYERS)]
y = device.empty((ROWS, WIDTH), np.float32)
x_half, a, b, c = (device.empty((ROWS, WIDTH), np.float16) for _ in range(4))
w_half = [device.empty((WIDTH, WIDTH), np.float16) for _ in range(LAYERS)]


def mixed_gemm(to: Any) -> None:
    to.cast(x, out=x_half)
    for given, half in zip(w, w_half, strict=True):
        to.cast(given, out=half)
    to.hgemm(x_half, w_half[0], trans_b=True, activation="gelu", out=a)
    to.hgemm(a, w_half[1], trans_b=True, activation="gelu", out=b)
    to.hgemm(b, w_half[2], trans_b=True, out=c)
    to.cast(c, out=y)


if __name__ == "__main__":
    sys.exit(not compare(mixed_gemm, y))
