# SPDX-License-Identifier: MIT
"""An FP32 image -> four 3x3 convolutions by Winograd with weights of 6 bits -> FP32 features.

One command buffer. Weights are decoded where they are transformed and results written to their
place: neither dense weights nor a transformed image ever exist.
"""

import sys
from typing import Any

import numpy as np
from sample import compare, fill

import pymfa

SIDE, CHANNELS, LAYERS, BITS = 12, 32, 4, 6

device = pymfa.device()
x = fill((1, SIDE, SIDE, CHANNELS), 1, 1)
y = device.empty(x.shape, np.float32)
x_half, *features = (device.empty(x.shape, np.float16) for _ in range(3))


def weights(seed: int, palette_seed: int) -> pymfa.Palettized:
    """Of 64 different values, which a palette of 6 bits holds exactly."""
    entries = fill((1 << BITS,), palette_seed, 0.125, np.float16)
    i = np.arange(CHANNELS * 9 * CHANNELS)
    numbers = (i * 7919 + seed * 104729) % 1009 % (1 << BITS)
    return pymfa.palettize(entries[numbers].reshape(CHANNELS, 3, 3, CHANNELS), bits=BITS)


w = [weights(2 + i, 6 + i) for i in range(LAYERS)]
b = [fill((CHANNELS,), 10 + i, 0.1, np.float16) for i in range(LAYERS)]


def layer(to: Any, i: int, source: Any, result: Any) -> None:
    to.convolution(
        source, w[i], bias=b[i], padding="same", activation="relu", algorithm="winograd", out=result
    )


def winograd(to: Any) -> None:
    to.cast(x, out=x_half)
    layer(to, 0, x_half, features[0])
    layer(to, 1, features[0], features[1])
    layer(to, 2, features[1], features[0])
    layer(to, 3, features[0], features[1])
    to.cast(features[1], out=y)


if __name__ == "__main__":
    sys.exit(not compare(winograd, y))
