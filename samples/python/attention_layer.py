# SPDX-License-Identifier: MIT
"""Tokens -> a whole attention layer -> tokens, in one encoder.

Projections with biases, causal attention with two heads to each head of keys, the output
projection.
"""

import sys
from typing import Any

import numpy as np
from sample import compare, fill

import pymfa

BATCH, TOKENS, HEADS, KV_HEADS, D = 2, 48, 4, 2, 32
ROWS, WIDTH, KV_WIDTH = BATCH * TOKENS, HEADS * D, KV_HEADS * D

device = pymfa.device()
x = fill((ROWS, WIDTH), 1, 1)
y = device.empty((ROWS, WIDTH), np.float32)

# Weights are stored N x K, as torch.nn.Linear keeps them.
shapes = {"q": WIDTH, "k": KV_WIDTH, "v": KV_WIDTH, "o": WIDTH}
w = {n: fill((shapes[n], WIDTH), 2 + i, 0.25, np.float16) for i, n in enumerate(shapes)}
b = {n: fill((shapes[n],), 6 + i, 0.1, np.float16) for i, n in enumerate(shapes)}

x_half, q, o, y_half = (device.empty((ROWS, WIDTH), np.float16) for _ in range(4))
k, v = (device.empty((ROWS, KV_WIDTH), np.float16) for _ in range(2))


def heads(rows: Any) -> Any:
    """The same memory as (batch, token, head, column): nothing is moved."""
    return rows.reshape(BATCH, TOKENS, -1, D)


def attention_layer(to: Any) -> None:
    to.cast(x, out=x_half)
    to.hgemm(x_half, w["q"], trans_b=True, bias=b["q"], out=q)
    to.hgemm(x_half, w["k"], trans_b=True, bias=b["k"], out=k)
    to.hgemm(x_half, w["v"], trans_b=True, bias=b["v"], out=v)
    to.attention(heads(q), heads(k), heads(v), layout="BNHD", causal=True, out=heads(o))
    to.hgemm(o, w["o"], trans_b=True, bias=b["o"], out=y_half)
    to.cast(y_half, out=y)


if __name__ == "__main__":
    sys.exit(not compare(attention_layer, y))
