# SPDX-License-Identifier: MIT
"""Runs each file of shaders/: a kernel in MSL with the result it must have, on every device.

Comment lines of a file say how: `threads:` or `groups:` with `group:`, `threadgroup:` bytes at
index 0, one `in: dtype values` for each buffer from 1 on (A, B, ... in expressions), `out: dtype
count` for buffer 0, `expect:` a Python expression for its contents, and `tolerance:` in units of
the last place of float32, without which the result must be equal. Long lines continue in the next.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tolerance import bfloat16

import pymfa

KEYS = ("threads", "groups", "group", "threadgroup", "in", "out", "expect", "tolerance")
FILES = sorted((Path(__file__).parent / "shaders").glob("*.metal"))


def collatz(n: int) -> int:
    steps = 0
    while n != 1:
        n, steps = (3 * n + 1 if n % 2 else n // 2), steps + 1
    return steps


def dtype_of(name: str) -> Any:
    return bfloat16 if name == "bfloat16" else np.dtype(name)


def directives(source: str) -> list[tuple[str, str]]:
    """(key, value) of the comment at the top; a line without a key continues the one before."""
    found: list[tuple[str, str]] = []
    for line in re.findall(r"^// (.*)$", source.split("#include")[0], re.MULTILINE):
        for part in line.split("  "):
            key, _, value = part.partition(": ")
            if key in KEYS:
                found.append((key, value))
            elif found:
                found[-1] = (found[-1][0], f"{found[-1][1]} {part.strip()}")
    return found


class Shader:
    def __init__(self, path: Path) -> None:
        self.source = path.read_text()
        self.directives = directives(self.source)
        self.names = {"np": np, "struct": struct, "collatz": collatz, "bfloat16": bfloat16}
        self.inputs = []
        for letter, line in zip("ABC", self.lines("in"), strict=False):
            dtype, expression = line.split(" ", 1)
            values = np.array(eval(expression, self.names)).astype(dtype_of(dtype))
            self.inputs.append(values)
            self.names[letter] = values.copy()
        dtype, count = self.line("out").split()
        self.out = np.zeros(int(count), dtype_of(dtype))
        expected = eval(self.line("expect"), self.names)
        self.expected = np.asarray(expected).ravel()
        self.ulps = float(self.line("tolerance", "0"))

    def lines(self, key: str) -> list[str]:
        return [value for name, value in self.directives if name == key]

    def line(self, key: str, default: str = "") -> str:
        return next(iter(self.lines(key)), default)

    def size(self, key: str) -> tuple[int, ...] | None:
        return tuple(int(n) for n in self.line(key).split()) or None

    def check(self) -> None:
        if self.ulps:
            actual, expected = (x.astype(np.float64) for x in (self.out, self.expected))
            np.testing.assert_allclose(actual, expected, rtol=self.ulps * 2.0**-23, atol=1e-7)
        else:
            np.testing.assert_array_equal(self.out, self.expected.astype(self.out.dtype))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_shader(device: pymfa.Device, path: Path) -> None:
    shader = Shader(path)
    pipeline = device.library(source=shader.source).pipeline("run")
    memory = int(shader.line("threadgroup", "0"))
    with device.commands() as commands:
        commands.dispatch(
            pipeline,
            buffers={0: shader.out, **dict(enumerate(shader.inputs, 1))},
            threadgroup_memory={0: memory} if memory else None,
            threads=shader.size("threads"),
            threadgroups=shader.size("groups"),
            threads_per_threadgroup=shader.size("group"),
        )
    shader.check()
