# SPDX-License-Identifier: MIT
"""What a command buffer and a dispatch cost beside the work: cases of many small operations.

They call functions of the C ABI, looked up once, with descriptors made once: what is measured is
libmfa and not the checks that Python makes of its arrays, which cost several times as much.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any

import numpy as np

import pymfa
from pymfa import native
from pymfa.bench.operands import float16, float32, random
from pymfa.bench.rounds import OURS, Case

CASTS, ELEMENTS = 64, 4096
DISPATCHES = 512

NOTHING = """
#include <metal_stdlib>
using namespace metal;
constant uint increment [[function_constant(0)]];
kernel void nothing(device uint *data [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  data[i] += increment;
}
"""


def run(device: pymfa.Device, encode: Callable[[Any], None]) -> None:
    """One command buffer, waited for."""
    commit, wait = native.function("mfa_commands_commit"), native.function("mfa_commands_wait")
    commands = native.handle("mfa_commands", "mfa_commands_begin", device.handle)
    encode(commands)
    if commit(commands) or wait(commands, -1.0):
        raise pymfa.Failure(native.last_error())


def casts() -> Iterator[Case]:
    device = pymfa.device()
    source, target = random((ELEMENTS,), float32, 1), device.empty((ELEMENTS,), float16)
    buffers = [device.buffer(x) for x in (source, target)]
    desc = native.struct(
        "mfa_cast_desc", count=ELEMENTS, source_type=native.number("MFA_TYPE_FLOAT"),
        destination_type=native.number("MFA_TYPE_HALF"),
    )  # fmt: skip
    operands = native.struct("mfa_cast_operands")
    operands.source.buffer, operands.destination.buffer = (b.handle for b in buffers)
    native.keep(operands, buffers)

    cast = native.function("mfa_cast")

    def one(commands: Any) -> None:
        if cast(commands, desc, operands):
            raise pymfa.Failure(native.last_error())

    def all_of_them(commands: Any) -> None:
        # Without a loop of the interpreter's: it would be a part of what is measured.
        if any(map(cast, repeat(commands, CASTS), repeat(desc), repeat(operands))):
            raise pymfa.Failure(native.last_error())

    def apart() -> None:
        for _ in range(CASTS):
            run(device, one)

    yield Case(
        op="casts",
        label=f"{CASTS} casts of {ELEMENTS} elements",
        size=CASTS,
        contenders={OURS: lambda: run(device, all_of_them), "a command buffer each": apart},
        against="a command buffer each",
        divisor=CASTS,
        unit="µs each",
        error=lambda: float((target != source.astype(np.float16)).any()),
    )


def _nothing(device: pymfa.Device) -> Any:
    """A dispatch of one threadgroup."""
    pipeline = device.library(source=NOTHING).pipeline("nothing", constants={0: np.uint32(1)})
    buffer = device.buffer(4 * device.simd_width)
    bindings = native.array("mfa_binding", 1)
    bindings[0].buffer = buffer.handle
    dispatch = native.struct(
        "mfa_dispatch_desc", pipeline=pipeline.handle, bindings=bindings, binding_count=1
    )
    dispatch.grid[0], dispatch.threads_per_threadgroup[0] = 1, device.simd_width
    return native.keep(dispatch, pipeline, buffer, bindings)


def dispatches() -> Iterator[Case]:
    """Seconds to encode many dispatches into one command buffer, each of which returns them."""
    device = pymfa.device()
    dispatch = _nothing(device)

    def encoded() -> float:
        taken = 0.0

        def encode(commands: Any) -> None:
            nonlocal taken
            start = time.perf_counter()
            for _ in range(DISPATCHES):
                native.call("mfa_dispatch", commands, dispatch)
            taken = time.perf_counter() - start

        run(device, encode)
        return taken

    yield Case(
        op="dispatch",
        label=f"{DISPATCHES} encoded",
        size=DISPATCHES,
        contenders={OURS: encoded},
        divisor=DISPATCHES,
        unit="µs each",
        returned=True,
    )


def batch(many: int) -> Case:
    """Time per dispatch, encoded and run, `many` of them to a command buffer."""
    device = pymfa.device()
    dispatch = _nothing(device)

    def encode(commands: Any) -> None:
        for _ in range(many):
            native.call("mfa_dispatch", commands, dispatch)

    return Case(
        op="dispatch",
        label=f"{many} encoded and run",
        size=many,
        contenders={OURS: lambda: run(device, encode)},
        divisor=many,
        unit="µs each",
    )
