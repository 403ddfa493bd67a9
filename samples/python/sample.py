# SPDX-License-Identifier: MIT
"""A pipeline -> run as one command buffer and as one for each operation: compared bit for bit.

What the pipelines of this folder share: inputs that are the same in every language, and the timing.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

import pymfa

Array = np.ndarray[Any, np.dtype[Any]]


def fill(shape: tuple[int, ...], seed: int, scale: float, dtype: Any = np.float32) -> Array:
    """Numbers between -scale and scale."""
    i = np.arange(np.prod(shape))
    numbers = ((i * 7919 + seed * 104729) % 1009).astype(np.float32)
    values = (numbers / np.float32(504) - np.float32(1)) * np.float32(scale)
    return values.astype(dtype).reshape(shape)


def compare(pipeline: Callable[[Any], object], result: Array) -> bool:
    """Prints whether both ways give the same, and how long they take.

    `pipeline` takes what has the operations as methods: pymfa.Commands, which collect them, or the
    module pymfa, whose functions run at once.
    """
    device = pymfa.device()

    def batched() -> pymfa.Commands:
        with device.commands() as commands:
            pipeline(commands)
        return commands

    commands = batched()
    expected = result.copy()
    result.fill(np.nan)
    pipeline(pymfa)
    bits = result.view(np.uint32)
    same = np.array_equal(bits, expected.view(np.uint32))
    print(f"{commands.operations} operations in {commands.command_buffers} command buffer")
    print(
        f"result {int(bits.sum(dtype=np.uint32)):08x}, unbatched",
        "the same" if same else "DIFFERENT",
    )

    ways: list[Callable[[], object]] = [batched, lambda: pipeline(pymfa)]
    best = [np.inf, np.inf]
    for _ in range(15):
        for way, run in enumerate(ways):
            start = time.perf_counter()
            for _ in range(10):
                run()
            best[way] = min(best[way], (time.perf_counter() - start) / 10)
    one, several = best
    print(f"batched {one * 1e6:.1f} us, unbatched {several * 1e6:.1f} us: "
          f"{several / one:.2f} times as fast")  # fmt: skip
    return same and commands.command_buffers == 1
